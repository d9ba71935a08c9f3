import { useEffect, useRef, useState } from "react";
import { Link } from "wouter";
import type { JobStatus, JobSummary } from "../../sdk/jobs.ts";
import { berth, collect } from "../data/client.ts";
import { useLive } from "../data/live.ts";
import { describeMachine, jobWord, printable } from "../data/words.ts";
import { announce } from "../parts/announcer.tsx";
import { At } from "../parts/clock.tsx";
import { CommandLine } from "../parts/command-line.tsx";
import { Title } from "../parts/layout.tsx";
import { Empty, Loaded } from "../parts/notices.tsx";
import { Deadline, Outcome, State } from "../parts/state.tsx";
import { type Column, Table } from "../parts/table.tsx";
import { End, Extend, isLiving } from "./job-acts.tsx";

const livingStatus: readonly JobStatus[] = ["queued", "preparing", "active"];
const endedStatus: readonly JobStatus[] = ["completed", "failed", "cancelled", "expired"];

export function Environments() {
  const query = useLive(["jobs", "living"], (signal) =>
    collect(berth.jobs.list({ status: livingStatus, pageSize: 500, signal })),
  );
  useSpokenStates(query.data);
  return (
    <>
      <Title title="Environments">
        <Link href="/new" className="button primary">
          New environment
        </Link>
      </Title>
      <Loaded query={query}>
        {(jobs) =>
          jobs.length === 0 ? (
            <Empty title="Nothing runs or waits">
              <p>Start an environment here, or from your terminal:</p>
              <CommandLine words="berth up" />
            </Empty>
          ) : (
            <Table
              caption="Environments that run or wait"
              columns={columns}
              rows={jobs}
              rowKey={({ job_id }) => job_id}
            />
          )
        }
      </Loaded>
      <Ended />
    </>
  );
}

const nameColumn: Column<JobSummary> = {
  name: "Name",
  cell: (job) => (
    <Link href={`/jobs/${job.job_id}`} className="name">
      <bdi>{printable(job.name, 128)}</bdi>
    </Link>
  ),
};

const columns: readonly Column<JobSummary>[] = [
  nameColumn,
  {
    name: "State",
    cell: (job) => (
      <>
        <State job={job} />
        <Why job={job} />
        <Outcome subject={job.job_id} />
      </>
    ),
  },
  { name: "Machine", cell: (job) => describeMachine(job) },
  { name: "Time", cell: (job) => <Deadline job={job} /> },
  { name: "Disk", cell: (job) => <DiskOf job={job} /> },
  {
    name: "Actions",
    cell: (job) => (
      <span className="buttons">
        {job.status === "active" && (
          <a className="button" href={`/jobs/${job.job_id}/terminal`}>
            Terminal
          </a>
        )}
        {isLiving(job) && <Extend job={job} />}
        {isLiving(job) && <End job={job} />}
      </span>
    ),
  },
];

function Why({ job }: { readonly job: JobSummary }) {
  const reason = job.status === "active" ? (job.warning ?? job.status_reason) : job.status_reason;
  if (reason === null) return null;
  return (
    <span className={job.status === "active" && job.warning ? "why warning" : "why"}>{printable(reason, 400)}</span>
  );
}

function DiskOf({ job }: { readonly job: JobSummary }) {
  if (job.disk_name === null) return <span className="faint">none</span>;
  return <Link href={`/disks/${encodeURIComponent(job.disk_name)}`}>{printable(job.disk_name, 64)}</Link>;
}

/** Announces each job whose state changed since the last read. */
function useSpokenStates(jobs: readonly JobSummary[] | undefined): void {
  const before = useRef<ReadonlyMap<string, string>>(undefined);
  useEffect(() => {
    if (!jobs) return;
    const now = new Map(jobs.map(({ job_id, status }) => [job_id, status]));
    const changed = jobs.filter(({ job_id, status }) => before.current && before.current.get(job_id) !== status);
    if (changed.length > 0) {
      announce(changed.map((job) => `${printable(job.name, 60)} is ${printable(job.status, 40)}`).join(". "));
    }
    before.current = now;
  }, [jobs]);
}

/** Ended jobs are read only while they are unfolded. */
function Ended() {
  const [isOpen, setIsOpen] = useState(false);
  return (
    <details className="ended" onToggle={({ currentTarget }) => setIsOpen(currentTarget.open)}>
      <summary>Ended environments</summary>
      {isOpen && <EndedList />}
    </details>
  );
}

function EndedList() {
  const query = useLive(["jobs", "ended"], async (signal) => {
    const jobs: JobSummary[] = [];
    for await (const job of berth.jobs.list({ status: endedStatus, pageSize: 100, signal })) {
      jobs.push(job);
      if (jobs.length === 100) break;
    }
    return jobs;
  });
  return (
    <Loaded query={query}>
      {(jobs) =>
        jobs.length === 0 ? (
          <Empty title="Nothing has ended yet" />
        ) : (
          <Table caption="Ended environments" columns={endedColumns} rows={jobs} rowKey={({ job_id }) => job_id} />
        )
      }
    </Loaded>
  );
}

const endedColumns: readonly Column<JobSummary>[] = [
  nameColumn,
  {
    name: "State",
    cell: (job) => (
      <>
        <State job={job} />
        <Why job={job} />
      </>
    ),
  },
  { name: "Machine", cell: (job) => describeMachine(job) },
  { name: "Ended", cell: (job) => job.ended_at !== null && <At time={job.ended_at} /> },
  { name: "GPU-hours", isNumber: true, cell: (job) => job.gpu_hours },
  { name: "Log", cell: (job) => <Link href={`/jobs/${job.job_id}/logs`}>Log of {printable(jobWord(job), 40)}</Link> },
];
