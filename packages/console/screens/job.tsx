import { useEffect, useRef } from "react";
import { Link } from "wouter";
import type { Job } from "../../sdk/jobs.ts";
import { berth } from "../data/client.ts";
import { useLive } from "../data/live.ts";
import { describeMachine, jobWord, printable } from "../data/words.ts";
import { announce } from "../parts/announcer.tsx";
import { At } from "../parts/clock.tsx";
import { type Fact, Facts } from "../parts/facts.tsx";
import { Title } from "../parts/layout.tsx";
import { Loaded } from "../parts/notices.tsx";
import { Deadline, Outcome, State } from "../parts/state.tsx";
import { End, Extend, isLiving, Jupyter, Share } from "./job-acts.tsx";
import { Requests, Timeline } from "./job-history.tsx";
import { WaysIn } from "./job-ways-in.tsx";

export function JobScreen({ id }: { readonly id: string }) {
  const query = useLive(["job", id], (signal) => berth.jobs.get(id, { signal }));
  useSpokenState(query.data);
  return (
    <>
      {!query.data && <Title title="Environment" />}
      <Loaded query={query}>{(job) => <JobPage job={job} />}</Loaded>
    </>
  );
}

function JobPage({ job }: { readonly job: Job }) {
  return (
    <>
      <Title title={job.name}>
        {job.status === "active" && (
          <a className="button primary" href={`/jobs/${job.job_id}/terminal`}>
            Terminal
          </a>
        )}
        <Link className="button" href={`/jobs/${job.job_id}/logs`}>
          Log
        </Link>
        {job.status === "active" && <Jupyter job={job} />}
        {job.status === "active" && <Share job={job} />}
        {isLiving(job) && <Extend job={job} />}
        {isLiving(job) && <End job={job} />}
      </Title>
      <p className="headline">
        <State job={job} /> <Deadline job={job} />
      </p>
      {job.status_reason !== null && <p className="why">{printable(job.status_reason)}</p>}
      {job.warning !== null && <p className="why warning">{printable(job.warning)}</p>}
      <Outcome subject={job.job_id} />
      <div className="columns">
        <div>
          {job.status === "active" && <WaysIn job={job} />}
          <section>
            <h2>About it</h2>
            <Facts facts={describe(job)} />
          </section>
        </div>
        <div>
          <Timeline job={job} />
          <Requests job={job} />
        </div>
      </div>
    </>
  );
}

function describe(job: Job): Fact[] {
  const isolation = [job.isolation, job.limits].filter(Boolean).join("; ");
  const facts: (Fact | false)[] = [
    ["Machine", `${describeMachine(job)}${job.gpu_count > 0 ? ` (${printable(job.instance_type, 40)})` : ""}`],
    ["Ends", <Ending key="ends" job={job} />],
    ["Disk", <DiskFact key="disk" job={job} />],
    ["Image", printable(job.image ?? "unknown", 512)],
    job.command !== null && ["Command", <code key="command">{printable(job.command, 400)}</code>],
    job.env_names.length > 0 && ["Variables", printable(job.env_names.join(", "))],
    isolation !== "" && ["Isolation", printable(isolation, 400)],
    job.secondary_users.length > 0 && ["Shared with", printable(job.secondary_users.join(", "))],
    ["GPU-hours", String(job.gpu_hours)],
    job.on_interruption === "requeue" && ["If interrupted", describeRequeue(job.requeue_count)],
    job.exit_code !== null && ["Exit code", String(job.exit_code)],
    ["Created", <At key="created" time={job.created_at} />],
    ["Id", <code key="id">{printable(job.job_id, 40)}</code>],
  ];
  return facts.filter((fact) => fact !== false);
}

function describeRequeue(count: number): string {
  if (count === 0) return "returns to the queue";
  return `returns to the queue (${count === 1 ? "once" : `${count} times`} so far)`;
}

/** The deadline and what decides it. */
function Ending({ job }: { readonly job: Job }) {
  if (job.ended_at !== null) return <At time={job.ended_at} />;
  if (job.expires_at === null) return <>{describeLength(job)}, or earlier if its command ends</>;
  return (
    <>
      <At time={job.expires_at} />: {describeLength(job)}
      {job.command !== null && ", or earlier if its command ends"}
    </>
  );
}

function describeLength({ duration_hours, min_duration_hours }: Job): string {
  const least = min_duration_hours === null ? "" : `, or after ${min_duration_hours} h or more when its machine closes`;
  return `${duration_hours} h after its start${least}`;
}

function DiskFact({ job }: { readonly job: Job }) {
  if (job.disk_name === null) return <>none: files are lost when it ends</>;
  return <Link href={`/disks/${encodeURIComponent(job.disk_name)}`}>{printable(job.disk_name, 64)}</Link>;
}

function useSpokenState(job: Job | undefined): void {
  const before = useRef<string>(undefined);
  useEffect(() => {
    if (!job) return;
    if (before.current !== undefined && before.current !== job.status) {
      announce(`${printable(job.name, 60)} (${jobWord(job)}) is ${printable(job.status, 40)}`);
    }
    before.current = job.status;
  }, [job]);
}
