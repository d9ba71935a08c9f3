import { useState } from "react";
import { Link } from "wouter";
import type { components } from "../../../sdk/schema.ts";
import { useAct } from "../../data/acts.ts";
import { berth, collect } from "../../data/client.ts";
import { useLive } from "../../data/live.ts";
import { describeMachine, printable } from "../../data/words.ts";
import { Ask } from "../../parts/ask.tsx";
import { At } from "../../parts/clock.tsx";
import { TextField } from "../../parts/field.tsx";
import { Title } from "../../parts/layout.tsx";
import { Empty, Loaded } from "../../parts/notices.tsx";
import { Deadline, Outcome, State } from "../../parts/state.tsx";
import { type Column, Table } from "../../parts/table.tsx";

type Schemas = components["schemas"];
type AdminJob = Schemas["AdminJob"];

/** What runs and waits, of all users, and what is closed. */
export function Operation() {
  const state = useLive(["admin", "state"], (signal) => berth.admin.state({ signal }));
  const jobs = useLive(["admin", "jobs"], (signal) => collect(livingJobs(signal)));
  return (
    <>
      <Title title="Operation">
        <Link className="button" href="/admin/audit">
          Audit
        </Link>
      </Title>
      <Loaded query={state}>{(data) => <Admission state={data} />}</Loaded>
      <Pools />
      <section>
        <h2>Environments of all users</h2>
        <Loaded query={jobs}>
          {(rows) =>
            rows.length === 0 ? (
              <Empty title="Nothing runs or waits" />
            ) : (
              <Table
                caption="Environments of all users"
                columns={jobColumns}
                rows={rows}
                rowKey={({ job_id }) => job_id}
              />
            )
          }
        </Loaded>
      </section>
      <Orphans />
    </>
  );
}

/** The API filters by one status at a time. */
async function* livingJobs(signal: AbortSignal): AsyncGenerator<AdminJob> {
  for (const status of ["queued", "preparing", "active"] as const)
    yield* berth.admin.jobs({ status: [status], signal });
}

function Admission({ state }: { readonly state: Schemas["AdminState"] }) {
  const { paused } = state;
  return (
    <section>
      <h2>Admission</h2>
      {paused === null ? (
        <p>New environments start.</p>
      ) : (
        <p className="stale">
          No new environment starts
          {paused.since !== null && (
            <>
              {" "}
              since <At time={paused.since} />
            </>
          )}
          {paused.by !== null && `, by ${printable(paused.by, 100)}`}
          {paused.reason !== null && `: ${printable(paused.reason, 400)}`}
        </p>
      )}
      {state.drained.map(({ gpu_type, since, by, reason }) => (
        <p key={gpu_type} className="stale">
          No environment of type {printable(gpu_type, 40)} starts
          {since !== null && (
            <>
              {" "}
              since <At time={since} />
            </>
          )}
          {by !== null && `, by ${printable(by, 100)}`}
          {reason !== null && `: ${printable(reason, 400)}`}
        </p>
      ))}
      <Switch
        subject="admission"
        label={paused === null ? "Pause" : "Resume"}
        words={paused === null ? "berth admin pause" : "berth admin resume"}
        effect={
          paused === null ? "No environment starts until you resume. Those that run go on." : "Waiting ones start."
        }
        needsReason={paused === null}
        run={(reason) => berth.admin.setPaused(paused === null, { reason })}
      />
    </section>
  );
}

interface SwitchProps {
  readonly subject: string;
  readonly label: string;
  readonly words: string;
  readonly effect: string;
  readonly needsReason: boolean;
  run(reason: string): Promise<unknown>;
}

/** Closes or opens something, with a reason that its users read. */
function Switch({ subject, label, words, effect, needsReason, run }: SwitchProps) {
  const act = useAct(subject);
  const [reason, setReason] = useState("");
  return (
    <>
      <Ask title={label} label={label} words={words} act={() => void act(label, () => run(reason))}>
        <p>{effect}</p>
        {needsReason && <TextField label="Reason" hint="Those who wait read it" value={reason} set={setReason} />}
      </Ask>
      <Outcome subject={subject} />
    </>
  );
}

function Pools() {
  const query = useLive(["availability"], (signal) => berth.availability({ signal }));
  return (
    <section>
      <h2>Types</h2>
      <Loaded query={query}>
        {({ availability }) => (
          <Table
            caption="Types of machines"
            columns={poolColumns}
            rows={Object.values(availability)}
            rowKey={({ gpu_type }) => gpu_type}
          />
        )}
      </Loaded>
    </section>
  );
}

const poolColumns: readonly Column<Schemas["GpuAvailability"]>[] = [
  { name: "Type", cell: ({ gpu_type }) => <strong>{printable(gpu_type, 40)}</strong> },
  { name: "Free", isNumber: true, cell: ({ available }) => available },
  { name: "Held", isNumber: true, cell: ({ in_use }) => in_use },
  { name: "Total", isNumber: true, cell: ({ total }) => total },
  { name: "Wanted", isNumber: true, cell: ({ queued }) => queued },
  {
    name: "State",
    cell: ({ open, closed_reason }) =>
      open ? "open" : <span className="warning">{printable(closed_reason ?? "closed", 300)}</span>,
  },
  {
    name: "Actions",
    cell: ({ gpu_type, open }) => (
      <Switch
        subject={`pool ${gpu_type}`}
        label={open ? "Drain" : "Undrain"}
        words={`berth admin ${open ? "drain" : "undrain"} ${gpu_type}`}
        effect={open ? "No environment of this type starts. Those that run go on." : "Waiting ones start."}
        needsReason={open}
        run={(reason) => berth.admin.setDrained(gpu_type, open, { reason })}
      />
    ),
  },
];

const jobColumns: readonly Column<AdminJob>[] = [
  {
    name: "Owner",
    cell: (job) => (
      <>
        <bdi>{printable(job.user_id, 100)}</bdi> <DisableUser username={job.user_id} />
      </>
    ),
  },
  { name: "Name", cell: ({ name }) => <bdi className="name">{printable(name, 128)}</bdi> },
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
  { name: "Actions", cell: (job) => <CancelAny job={job} /> },
];

function CancelAny({ job }: { readonly job: AdminJob }) {
  const act = useAct(`admin ${job.job_id}`);
  return (
    <Ask
      title={`End ${printable(job.name, 80)} of ${printable(job.user_id, 80)}`}
      label="End"
      isDangerous
      words={`berth api POST /v1/admin/jobs/${job.job_id}/cancel`}
      act={() => void act("End", () => berth.admin.cancelJob(job.job_id, { user: job.user_id }))}
    >
      <p>
        All its processes end. {job.disk_name === null ? "It has no disk: all its files are lost." : "Its disk stays."}
      </p>
    </Ask>
  );
}

function DisableUser({ username }: { readonly username: string }) {
  const act = useAct(`user ${username}`);
  return (
    <>
      <Ask
        title={`Disable ${printable(username, 80)}`}
        label="Disable"
        isDangerous
        typed={username}
        words={`berth admin user disable ${username}`}
        act={() => void act("Disable", () => berth.admin.setDisabled(username, true))}
      >
        <p>All keys and logins of this user are refused within seconds. Environments go on.</p>
      </Ask>
      <Outcome subject={`user ${username}`} />
    </>
  );
}

function Orphans() {
  const query = useLive(["admin", "orphans"], (signal) => berth.admin.orphans({ signal }));
  return (
    <section>
      <h2>Orphans</h2>
      <Loaded query={query}>
        {({ checked_at, run_count, volume_count, snapshot_count, record_count, orphan_gpu_hours }) => (
          <p>
            {run_count} runs, {volume_count} volumes, {snapshot_count} snapshots and {record_count} records that nothing
            explains, with {orphan_gpu_hours} GPU-hours.{" "}
            <span className="faint">
              {checked_at === null ? (
                "Not checked yet."
              ) : (
                <>
                  Checked at <At time={checked_at} />.
                </>
              )}
            </span>
          </p>
        )}
      </Loaded>
    </section>
  );
}
