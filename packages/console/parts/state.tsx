import { useShownAct } from "../data/acts.ts";
import { printable } from "../data/words.ts";
import { Until, usePassed } from "./clock.tsx";

const marks: Readonly<Record<string, string>> = {
  queued: "◌",
  preparing: "◔",
  active: "●",
  stopping: "◔",
  stopped: "○",
  completed: "✓",
  failed: "✕",
  cancelled: "–",
  expired: "–",
  deleted: "–",
};

interface Stated {
  readonly status: string;
  readonly queue_position: number | null;
}

/** The state of an environment as a word, with a mark and a colour that say the same. */
export function State({ job }: { readonly job: Stated }) {
  const place = job.queue_position === null ? "" : ` #${job.queue_position}`;
  return (
    <span className={`state state-${job.status}`}>
      <span aria-hidden="true">{marks[job.status] ?? "?"}</span> {printable(job.status, 40)}
      {place}
    </span>
  );
}

interface Timed {
  readonly status: string;
  readonly expires_at: string | null;
  readonly estimated_start_time: string | null;
  readonly estimated_start_latest: string | null;
}

/** What comes next and when: the estimated start, or the time that is left. */
export function Deadline({ job }: { readonly job: Timed }) {
  if (job.status === "active" && job.expires_at !== null) {
    return (
      <>
        <Until time={job.expires_at} /> left
      </>
    );
  }
  if (job.status !== "queued") return null;
  if (job.estimated_start_time === null) return <span className="faint">no estimate yet</span>;
  return <Start time={job.estimated_start_time} latest={job.estimated_start_latest} />;
}

function Start({ time, latest }: { readonly time: string; readonly latest: string | null }) {
  const isDue = usePassed(time);
  return (
    <span>
      {isDue ? "starts any moment" : "starts in about "}
      {!isDue && <Until time={time} />}
      {latest !== null && Date.parse(latest) - Date.parse(time) > 60_000 && (
        <span className="faint">
          , 9 of 10 within <Until time={latest} />
        </span>
      )}
    </span>
  );
}

/** The newest act on a thing: requested, done or failed. */
export function Outcome({ subject }: { readonly subject: string }) {
  const shown = useShownAct(subject);
  if (!shown) return null;
  return <span className={`outcome outcome-${shown.state}`}>{shown.text}</span>;
}
