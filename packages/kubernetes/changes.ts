import type { RunRef, SignalledUpTo } from "#core/ports/compute.ts";
import { sightOf } from "./machine-sight.ts";
import { everyRunOf, nameOfRun, runOf } from "./names.ts";
import { holds, type Job, type KubeObject, type Pod } from "./objects.ts";
import type { Place } from "./read-run.ts";
import { verdictOf } from "./run-end.ts";
import { type Follower, follow } from "./watch.ts";

/**
 * Runs that changed, until the signal comes: first all that there are, unless somebody goes on `from` where another left
 * off. Of each object what an observation says of it is remembered, since most that is written to it changes nothing
 * there: each signal is a look, and each look asks the API server two or three times. Throws where the cluster may not be
 * watched.
 */
export async function* followRuns(
  { client, paths, deployment }: Place,
  signal: AbortSignal,
  from?: string,
): AsyncGenerator<RunRef | SignalledUpTo> {
  const everyRun = everyRunOf(deployment);
  const told = toldRuns(signal);
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const [jobs, pods] = versionsOf(from);
  const podFollower = runFollower<Pod>("Pod", { markOf: podMark, isBare: isJustMade }, told);
  // Its pods go with a Job, or are orphans: either is told of them.
  const isToldByPods = ({ ref }: Marked) => ref !== undefined && podFollower.hasAny(ref);
  const jobFollower = runFollower<Job>(
    "Job",
    { markOf: jobMark, isBare: hasNoVerdict, isToldElsewhere: isToldByPods },
    told,
  );
  const watching = [
    follow(client, `${paths.jobs}?${everyRun}`, jobFollower, { signal: both, ...(jobs && { from: jobs }) }),
    follow(client, `${paths.pods}?${everyRun}`, podFollower, { signal: both, ...(pods && { from: pods }) }),
  ].map((one) => one.then(() => undefined, told.fail));
  try {
    yield* told.each();
  } finally {
    ending.abort();
    await Promise.all(watching);
  }
}

/** Those of Jobs and pods: each kind is watched for itself. None where that is no place in the changes of a cluster. */
function versionsOf(from: string | undefined): readonly [jobs?: string, pods?: string] {
  const [, jobs, pods] = /^(\d+)\.(\d+)$/.exec(from ?? "") ?? [];
  return jobs && pods ? [jobs, pods] : [];
}

interface Marked {
  readonly uid: string;
  readonly ref: RunRef | undefined;
  readonly mark: string;
  /** It says nothing yet that who asked for it does not know. */
  readonly isBare: boolean;
}

interface Marking<Item> {
  markOf(item: Item): string;
  isBare(item: Item): boolean;
  /** Whether that it is gone is no news, since more is told of its run. */
  isToldElsewhere?(item: Marked): boolean;
}

function runFollower<Item extends KubeObject>(
  kind: "Job" | "Pod",
  { markOf, isBare, isToldElsewhere = () => false }: Marking<Item>,
  { tell, reached }: Pick<ReturnType<typeof toldRuns>, "tell" | "reached">,
): Follower<Item, Marked> & { hasAny(ref: RunRef): boolean } {
  const known = new Map<string, Marked>();
  const counts = new Map<string, number>();
  const count = ({ ref }: Marked, more: number) => {
    if (!ref) return;
    const left = (counts.get(nameOfRun(ref)) ?? 0) + more;
    if (left > 0) counts.set(nameOfRun(ref), left);
    else counts.delete(nameOfRun(ref));
  };
  const remember = (item: Marked) => {
    const before = known.get(item.uid);
    if (before) count(before, -1);
    known.set(item.uid, item);
    count(item, 1);
    return before;
  };
  const meet = (item: Marked) => {
    const isNews = remember(item)?.mark !== item.mark;
    if (item.ref && isNews) tell(item.ref);
  };
  const forget = (item: Marked) => {
    const before = known.get(item.uid);
    if (before) count(before, -1);
    known.delete(item.uid);
    if (item.ref && !isToldElsewhere(item)) tell(item.ref);
  };
  return {
    keep: (item) => ({
      uid: item.metadata.uid,
      ref: runOf(item, kind),
      mark: markOf(item),
      isBare: isBare(item),
    }),
    listed(items) {
      const there = new Set(items.map(({ uid }) => uid));
      for (const item of [...known.values()]) if (!there.has(item.uid)) forget(item);
      for (const item of items) meet(item);
    },
    changed(type, item) {
      if (type === "DELETED") forget(item);
      else if (type === "ADDED" && item.isBare) remember(item);
      else meet(item);
    },
    reached: (version) => reached(kind, version),
    hasAny: (ref) => counts.has(nameOfRun(ref)),
  };
}

function jobMark(job: Job): string {
  const verdict = verdictOf(job)?.type;
  // The one is followed by the other, which says nothing more.
  return JSON.stringify([isDeleted(job), verdict === "SuccessCriteriaMet" ? "Complete" : verdict]);
}

function hasNoVerdict(job: Job): boolean {
  return !isDeleted(job) && verdictOf(job) === undefined;
}

/**
 * The scheduler words anew why a pod fits nowhere whenever it tries: that it does not is news once. That one is deleted
 * whose command is over already is none.
 */
function podMark(pod: Pod): string {
  const { state, reason, end, deleted } = sightOf(pod);
  const why = state === "unbound" ? reason !== null : reason;
  const { nodeName } = pod.spec;
  const isOrphan = (pod.metadata.ownerReferences ?? []).length === 0;
  const isGoing = deleted && end === undefined;
  return JSON.stringify([isGoing, isOrphan, nodeName, state, why, end?.exitCode, holds(pod, "DisruptionTarget")]);
}

function isJustMade(pod: Pod): boolean {
  const { state, reason } = sightOf(pod);
  return state === "unbound" && reason === null && !isDeleted(pod);
}

function isDeleted({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function toldRuns(signal: AbortSignal) {
  // A run waits once: who takes them may be slower than a cluster in trouble tells.
  const waiting = new Map<string, RunRef>();
  const versions: { Job?: string; Pod?: string } = {};
  let saidUpTo: string | undefined;
  const upTo = () => (versions.Job && versions.Pod ? `${versions.Job}.${versions.Pod}` : undefined);
  let failure: unknown;
  let wake = (): void => undefined;
  const abort = (): void => wake();
  return {
    tell: (ref: RunRef): void => {
      waiting.set(`${ref.uid} ${ref.run}`, ref);
      wake();
    },
    reached: (kind: "Job" | "Pod", version: string): void => {
      versions[kind] = version;
      wake();
    },
    fail: (error: unknown): void => {
      failure = error;
      wake();
    },
    async *each(): AsyncGenerator<RunRef | SignalledUpTo> {
      signal.addEventListener("abort", abort);
      try {
        while (!signal.aborted) {
          if (failure !== undefined) throw failure;
          const [next] = waiting;
          if (next) {
            waiting.delete(next[0]);
            yield next[1];
          } else if (upTo() !== saidUpTo) {
            saidUpTo = upTo();
            if (saidUpTo !== undefined) yield { upTo: saidUpTo };
          } else await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
  };
}
