import { useState } from "react";
import type { components } from "../../../sdk/schema.ts";
import { useAct } from "../../data/acts.ts";
import { berth, collect } from "../../data/client.ts";
import { useLive } from "../../data/live.ts";
import { shellWord } from "../../data/new-job.ts";
import { describeMachine, printable } from "../../data/words.ts";
import { Ask } from "../../parts/ask.tsx";
import { TextField } from "../../parts/field.tsx";
import { Empty, Loaded } from "../../parts/notices.tsx";
import { Deadline, Outcome, State } from "../../parts/state.tsx";
import { type Column, Table } from "../../parts/table.tsx";
import { longestReason } from "./closing.tsx";

export type AdminJob = components["schemas"]["AdminJob"];

export function useAllJobs() {
  return useLive(["admin", "jobs"], (signal) => collect(berth.admin.jobs({ status: living, signal })));
}

/** Table of the running and waiting jobs of all users. */
export function AllJobs() {
  const query = useAllJobs();
  return (
    <section>
      <h2>Environments of all users</h2>
      <Loaded query={query}>
        {(rows) =>
          rows.length === 0 ? (
            <Empty title="Nothing runs or waits" />
          ) : (
            <Table
              caption="Environments of all users"
              columns={columns}
              rows={rows}
              rowKey={({ user_id, job_id }) => `${user_id} ${job_id}`}
            />
          )
        }
      </Loaded>
    </section>
  );
}

const living = ["queued", "preparing", "active"] as const;

const columns: readonly Column<AdminJob>[] = [
  { name: "Name", cell: ({ name }) => <bdi className="name">{printable(name, 128)}</bdi> },
  { name: "Owner", cell: ({ user_id }) => <bdi>{printable(user_id, 100)}</bdi> },
  {
    name: "State",
    cell: (job) => (
      <>
        <State job={job} />
        {job.status_reason !== null && <span className="why">{printable(job.status_reason, 400)}</span>}
        <Outcome subject={`admin ${job.job_id}`} />
      </>
    ),
  },
  { name: "Machine", cell: (job) => describeMachine(job) },
  { name: "Time", cell: (job) => <Deadline job={job} /> },
  { name: "Actions", cell: (job) => <EndAny job={job} /> },
];

/** Ends a job of any user, who reads the reason. */
export function EndAny({ job: { job_id, name, user_id, disk_name, status } }: { readonly job: AdminJob }) {
  const act = useAct(`admin ${job_id}`);
  const [text, setText] = useState("");
  const reason = text.trim();
  const body = { user: user_id, reason };
  return (
    <Ask
      title={`End ${printable(name, 80)} of ${printable(user_id, 80)}`}
      label="End"
      isDangerous
      isReady={reason !== ""}
      words={`berth admin end ${job_id} --user ${shellWord(user_id)} --reason ${shellWord(reason)}`}
      act={() => void act("End", () => berth.admin.cancelJob(job_id, body), { acceptedAt: status })}
      clear={() => setText("")}
    >
      <p>
        All its processes end.{" "}
        {disk_name === null ? "It has no disk: all its files are lost." : "The files of its disk stay."}
      </p>
      <TextField label="Reason" hint="Its owner reads it" most={longestReason} isRequired value={text} set={setText} />
    </Ask>
  );
}
