import type { UseQueryResult } from "@tanstack/react-query";
import { type ReactNode, useMemo } from "react";
import { BerthError } from "../../sdk/errors.ts";
import { describeLoss, needsLogin } from "../data/lost-session.ts";
import { printable, timeSpan } from "../data/words.ts";
import { lastResumedAt, useTimed } from "./clock.tsx";
import { CommandLine } from "./command-line.tsx";

interface NoticeProps {
  readonly title: string;
  readonly children?: ReactNode;
}

/** Says why there is nothing to see, and what to do. */
export function Empty({ title, children }: NoticeProps) {
  return (
    <div className="empty">
      <p className="empty-title">{title}</p>
      {children}
    </div>
  );
}

interface FailureProps {
  readonly error: Error;
  /** Whether the page repeats what failed. */
  readonly isRetried?: boolean;
}

export function Failure({ error, isRetried = false }: FailureProps) {
  const { title, advice } = describe(error, isRetried);
  return (
    <div className="failure" role="alert">
      <p className="empty-title">{title}</p>
      <p>{advice}</p>
      {error instanceof BerthError && error.requestId && (
        <p className="faint">
          Request <code>{printable(error.requestId)}</code>
        </p>
      )}
      {needsLogin(error) && error.code !== "user_disabled" && <CommandLine words="berth web" />}
    </div>
  );
}

function describe(error: Error, isRetried: boolean): { readonly title: string; readonly advice: string } {
  const message = printable(error.message, 500);
  if (!(error instanceof BerthError)) return { title: "This page has a fault", advice: message };
  if (needsLogin(error)) {
    const next = error.code === "user_disabled" ? "Ask an operator." : "Sign in again from your terminal:";
    return { title: "You are signed out here", advice: `${describeLoss(error)} ${next}` };
  }
  switch (error.code) {
    case "unreachable":
    case "unavailable":
      return {
        title: "Berth does not answer",
        advice: `${message}. ${isRetried ? "This page tries again by itself." : "Try again in a moment."}`,
      };
    case "rate":
      return {
        title: "Berth asks for a pause",
        advice: `${message}. ${isRetried ? "This page tries again by itself." : "Try again in a minute."}`,
      };
    case "not_found":
      return { title: "There is no such thing here", advice: `${message}. It may be of another user, or gone.` };
    default:
      return { title: "Berth refused this", advice: [message, error.hint].filter(Boolean).join(". ") };
  }
}

interface LoadedProps<Data> {
  readonly query: UseQueryResult<Data, Error>;
  readonly children: (data: Data) => ReactNode;
}

/** Shows what a poll read, its absence, its failure, and its age once reads are late. */
export function Loaded<Data>({ query, children }: LoadedProps<Data>) {
  const { data, error, dataUpdatedAt } = query;
  if (data === undefined) return error ? <Failure error={error} isRetried /> : <Loading />;
  return (
    <>
      {error && needsLogin(error) ? <Failure error={error} /> : <Age since={dataUpdatedAt} error={error} />}
      {children(data)}
    </>
  );
}

export function Loading() {
  return (
    <div className="loading" aria-busy="true">
      <span className="unseen">Loading</span>
      <span className="bone" />
      <span className="bone" />
      <span className="bone" />
    </div>
  );
}

/** Longer than the longest time between two reads of what `Loaded` shows. */
const staleMs = 40_000;

/** All times are of this browser's clock. */
function Age({ since, error }: { readonly since: number; readonly error: Error | null }) {
  // The screen may show data that were read long ago. It reads them again then, so no answer is overdue yet.
  const shownAt = useMemo(() => Math.max(since, Date.now()), [since]);
  const age = useTimed(() => {
    const isOverdue = Date.now() - Math.max(shownAt, lastResumedAt()) > staleMs;
    return error !== null || isOverdue ? timeSpan(Date.now() - since) : "";
  });
  if (age === "") return null;
  return (
    <p className="stale">
      Seen {age} ago.{" "}
      <span role="status">{error ? printable(error.message, 300) : "Berth has not answered since."}</span>
    </p>
  );
}
