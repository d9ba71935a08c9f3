import { useEffect, useRef } from "react";
import { type RecordedEnd, useShownAct } from "../data/acts.ts";
import { describeState } from "../data/words.ts";
import { announce } from "./announcer.tsx";
import { Until, usePassed } from "./clock.tsx";

interface Stated {
  readonly status: string;
  readonly queue_position: number | null;
}

/** The state of an environment as a word, with a mark and a colour that say the same. */
export function State({ job }: { readonly job: Stated }) {
  const { mark, text } = describeState(job);
  return (
    <span className={`state state-${job.status}`}>
      <span aria-hidden="true">{mark}</span> {text}
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

interface OutcomeProps {
  readonly subject: string;
  /** What the record shows of an act that was only accepted. */
  readonly end?: RecordedEnd | undefined;
}

/** The newest act on a thing: requested, done or failed. */
export function Outcome({ subject, end }: OutcomeProps) {
  const shown = useShownAct(subject, end);
  const before = useRef(shown);
  useEffect(() => {
    const hasEnded = before.current?.state === "requested" && shown?.state !== "requested";
    before.current = shown;
    // `useAct` announces the answers to requests.
    if (hasEnded && shown?.isRecorded) announce(shown.text);
  });
  if (!shown) return null;
  return <span className={`outcome outcome-${shown.state}`}>{shown.text}</span>;
}
