import type { RunRef, SignalledUpTo } from "#core/ports/compute.ts";
import { sightOf } from "./machine-sight.ts";
import { everyRunOf, runOf } from "./names.ts";
import { holds, type Job, type KubeObject, type Pod } from "./objects.ts";
import type { Place } from "./read-run.ts";
import { verdictOf } from "./run-end.ts";
import { type Follower, follow } from "./watch.ts";

/**
 * Runs that changed, until the signal comes: first all that there are, unless somebody goes on `from` where another left
 * off. Of each object what an observation says of it is remembered, since most that is written to it changes nothing
 * there. Throws where the cluster may not be watched.
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
  const jobFollower = runFollower<Job>("Job", jobMark, told);
  const podFollower = runFollower<Pod>("Pod", podMark, told);
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
}

function runFollower<Item extends KubeObject>(
  kind: "Job" | "Pod",
  markOf: (item: Item) => string,
  { tell, reached }: Pick<ReturnType<typeof toldRuns>, "tell" | "reached">,
): Follower<Item, Marked> {
  const known = new Map<string, Marked>();
  const meet = (item: Marked) => {
    const isNews = known.get(item.uid)?.mark !== item.mark;
    known.set(item.uid, item);
    if (item.ref && isNews) tell(item.ref);
  };
  const forget = ({ uid, ref }: Marked) => {
    known.delete(uid);
    if (ref) tell(ref);
  };
  return {
    keep: (item) => ({ uid: item.metadata.uid, ref: runOf(item, kind), mark: markOf(item) }),
    listed(items) {
      const there = new Set(items.map(({ uid }) => uid));
      for (const item of [...known.values()]) if (!there.has(item.uid)) forget(item);
      for (const item of items) meet(item);
    },
    changed: (type, item) => (type === "DELETED" ? forget(item) : meet(item)),
    reached: (version) => reached(kind, version),
  };
}

function jobMark(job: Job): string {
  return JSON.stringify([job.metadata.deletionTimestamp !== undefined, verdictOf(job)?.type]);
}

/** The scheduler words anew why a pod fits nowhere whenever it tries: that it does not is news once. */
function podMark(pod: Pod): string {
  const { state, reason, end, deleted } = sightOf(pod);
  const why = state === "unbound" ? reason !== null : reason;
  return JSON.stringify([deleted, pod.spec.nodeName, state, why, end?.exitCode, holds(pod, "DisruptionTarget")]);
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
