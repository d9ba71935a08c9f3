import { useEffect, useState } from "react";
import type { Job } from "../../sdk/jobs.ts";
import { serverNow } from "../data/client.ts";
import { formatClock, formatTime, printable, timeSince, timeSpan, zoneName } from "../data/words.ts";
import { useTimed } from "../parts/clock.tsx";

/** Timeline of a job with the duration of each phase. */
export function Timeline({ job }: { readonly job: Job }) {
  const entries = job.timeline;
  return (
    <section>
      <h2>
        Timeline <Zone />
      </h2>
      <ol className="timeline">
        {entries.map((entry, n) => (
          <li key={`${entry.at} ${entry.status} ${entry.reason}`} className={`state-${entry.status}`}>
            <time dateTime={entry.at} title={formatTime(entry.at)}>
              {formatClock(entry.at)}
            </time>
            <span className="timeline-state">{printable(entry.status, 40)}</span>
            <span className="number">
              <Lasted
                from={entry.at}
                to={entries[n + 1]?.at ?? job.ended_at}
                isLast={n === entries.length - 1}
                job={job}
              />
            </span>
            {entry.reason !== null && <span className="timeline-reason">{printable(entry.reason, 1000)}</span>}
          </li>
        ))}
      </ol>
      <Moved job={job} />
    </section>
  );
}

/** Time zone of the times below a heading. */
function Zone() {
  return <span className="faint zone">in {zoneName()}</span>;
}

interface LastedProps {
  readonly from: string;
  readonly to: string | null;
  readonly isLast: boolean;
  readonly job: Job;
}

function Lasted({ from, to, isLast, job }: LastedProps) {
  const running = useTimed(() => timeSince(from));
  if (isLast && job.ended_at !== null) return null;
  if (to !== null && !isLast) return <>{timeSpan(Date.parse(to) - Date.parse(from))}</>;
  return <>{running} so far</>;
}

interface SeenEstimate {
  readonly seenAt: string;
  readonly start: string;
}

/** The estimates that this page has seen, by job. The API keeps none. */
const seen = new Map<string, SeenEstimate[]>();

/** How the estimate moved while this page was open. */
function Moved({ job }: { readonly job: Job }) {
  const [estimates, setEstimates] = useState<readonly SeenEstimate[]>(seen.get(job.job_id) ?? []);
  const { job_id, estimated_start_time: start } = job;
  useEffect(() => {
    const known = seen.get(job_id) ?? [];
    const last = known.at(-1);
    if (start === null || (last && Math.abs(Date.parse(last.start) - Date.parse(start)) < 30_000)) return;
    const more = [...known, { seenAt: new Date(serverNow()).toISOString(), start }].slice(-10);
    seen.set(job_id, more);
    setEstimates(more);
  }, [job_id, start]);
  if (estimates.length < 2) return null;
  return (
    <>
      <h3>How the estimate moved</h3>
      <ol className="timeline">
        {estimates.map(({ seenAt, start: estimated }) => (
          <li key={seenAt}>
            <time dateTime={seenAt}>{formatClock(seenAt)}</time>
            <span>start at {formatTime(estimated)}</span>
          </li>
        ))}
      </ol>
    </>
  );
}

const actionWords: Readonly<Record<string, string>> = {
  cancel: "End",
  extend: "Extend",
  enable_jupyter: "Start Jupyter",
  disable_jupyter: "Stop Jupyter",
  add_user: "Share",
};

/** Table of the actions that clients requested of a job, with their outcomes. */
export function Requests({ job }: { readonly job: Job }) {
  if (job.actions.length === 0) return null;
  return (
    <section>
      <h2>
        Requests <Zone />
      </h2>
      <ol className="timeline">
        {job.actions.toReversed().map((action) => (
          <li key={action.id}>
            <time dateTime={action.requested_at} title={formatTime(action.requested_at)}>
              {formatClock(action.requested_at)}
            </time>
            <span className="timeline-state">{actionWords[action.action] ?? printable(action.action, 40)}</span>
            <span className={`outcome outcome-${action.status}`}>{printable(action.status, 40)}</span>
            {action.error !== null && <span className="timeline-reason">{printable(action.error, 500)}</span>}
          </li>
        ))}
      </ol>
    </section>
  );
}
