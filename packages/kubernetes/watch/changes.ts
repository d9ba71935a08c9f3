import { type ChangedNodes, mergeChangedNodes } from "#core/ports/changed-nodes.ts";
import type { Change, RunRef } from "#core/ports/compute.ts";
import { isRunning } from "../access/start-gate.ts";
import { everyRunSelector, findRun, nameOfRun } from "../names.ts";
import { holds, type Job, type KubeObject, type Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { findVerdict } from "../runs/run-end.ts";
import { toMachineStatus } from "../status/machine-status.ts";
import { followForeignPods } from "./foreign-pods.ts";
import { followNodes, type OfferedNodes, offeredNodes } from "./node-changes.ts";
import type { KnownPods } from "./run-caches.ts";
import { type Follower, follow } from "./watch.ts";

/**
 * Yields each run that changed, until `signal` aborts: first all, or with `from` only those that changed since. It
 * emits a run when the observable fields of an object change, because each emit costs a reconcile. Throws if watching
 * runs is forbidden. It emits changes of nodes and of other pods only if it may watch them.
 */
export async function* followRuns(
  place: ClusterContext,
  signal: AbortSignal,
  from?: string,
  nodes: OfferedNodes = offeredNodes(),
): AsyncGenerator<Change> {
  const { client, paths, deployment, known } = place;
  const everyRun = everyRunSelector(deployment);
  const changed = changedRuns(signal);
  const ending = new AbortController();
  const both = AbortSignal.any([signal, ending.signal]);
  const [jobs, pods] = listVersions(from);
  const podFollower = runFollower<Pod>("Pod", { getMark: podMark, isFresh: isJustMade, known }, changed);
  // The pods of a deleted Job are deleted or become orphans. Either change is emitted.
  const isCoveredByPods = ({ ref }: Marked) => ref !== undefined && podFollower.hasAny(ref);
  const jobFollower = runFollower<Job>(
    "Job",
    { getMark: jobMark, isFresh: hasNoVerdict, isCovered: isCoveredByPods },
    changed,
  );
  const watching = [
    follow(client, `${paths.jobs}?${everyRun}`, jobFollower, { signal: both, ...(jobs && { from: jobs }) }),
    follow(client, `${paths.pods}?${everyRun}`, podFollower, { signal: both, ...(pods && { from: pods }) }),
    followNodes(place, nodes, { signal: both, emit: changed.emit, nodesChanged: changed.emitNodes }),
    followForeignPods(place, nodes, { signal: both, from: pods, nodesChanged: changed.emitNodes }),
  ].map((stream) => stream.then(() => undefined, changed.fail));
  try {
    yield* changed.each();
  } finally {
    ending.abort();
    await Promise.all(watching);
  }
}

/** Splits `from` into the versions of Jobs and pods. Returns an empty array for other text. */
function listVersions(from: string | undefined): readonly [jobs?: string, pods?: string] {
  const [, jobs, pods] = /^(\d+)\.(\d+)$/.exec(from ?? "") ?? [];
  return jobs && pods ? [jobs, pods] : [];
}

interface Marked {
  readonly uid: string;
  readonly name: string;
  readonly ref: RunRef | undefined;
  readonly mark: string;
  /** Whether it was just created, so that its creator learns nothing from the event. */
  readonly isFresh: boolean;
}

interface Marking<Item> {
  getMark(item: Item): string;
  isFresh(item: Item): boolean;
  /** Reports whether a deletion is covered by another object's event. */
  isCovered?(item: Marked): boolean;
  readonly known?: KnownPods | undefined;
}

function runFollower<Item extends KubeObject>(
  kind: "Job" | "Pod",
  { getMark, isFresh, isCovered = () => false, known }: Marking<Item>,
  { emit, reached }: Pick<ReturnType<typeof changedRuns>, "emit" | "reached">,
): Follower<Item, Marked> & { hasAny(ref: RunRef): boolean } {
  const markedByUid = new Map<string, Marked>();
  const counts = new Map<string, number>();
  const count = ({ ref }: Marked, more: number) => {
    if (!ref) return;
    const left = (counts.get(nameOfRun(ref)) ?? 0) + more;
    if (left > 0) counts.set(nameOfRun(ref), left);
    else counts.delete(nameOfRun(ref));
  };
  const remember = (item: Marked) => {
    const before = markedByUid.get(item.uid);
    if (before) count(before, -1);
    markedByUid.set(item.uid, item);
    count(item, 1);
    if (item.ref) known?.add(item.ref, item.name);
    return before;
  };
  const update = (item: Marked) => {
    const isNews = remember(item)?.mark !== item.mark;
    if (item.ref && isNews) emit(item.ref);
  };
  const forget = (item: Marked) => {
    const before = markedByUid.get(item.uid);
    if (before) count(before, -1);
    markedByUid.delete(item.uid);
    if (item.ref) known?.remove(item.ref, item.name);
    if (item.ref && !isCovered(item)) emit(item.ref);
  };
  return {
    keep: (item) => ({
      uid: item.metadata.uid,
      name: item.metadata.name,
      ref: findRun(item, kind),
      mark: getMark(item),
      isFresh: isFresh(item),
    }),
    listed(items) {
      const there = new Set(items.map(({ uid }) => uid));
      for (const item of [...markedByUid.values()]) if (!there.has(item.uid)) forget(item);
      for (const item of items) update(item);
    },
    changed(type, item) {
      if (type === "DELETED") forget(item);
      else if (type === "ADDED" && item.isFresh) remember(item);
      else update(item);
    },
    reached: (version) => reached(kind, version),
    hasAny: (ref) => counts.has(nameOfRun(ref)),
  };
}

function jobMark(job: Job): string {
  const verdict = findVerdict(job)?.type;
  // SuccessCriteriaMet precedes Complete, which adds nothing.
  return JSON.stringify([isDeleted(job), verdict === "SuccessCriteriaMet" ? "Complete" : verdict]);
}

function hasNoVerdict(job: Job): boolean {
  return !isDeleted(job) && findVerdict(job) === undefined;
}

/** Returns the mark of a pod, without the scheduler's message, which changes at every retry. */
function podMark(pod: Pod): string {
  const { state, reason, end, deleted } = toMachineStatus(pod);
  const why = state === "unbound" ? reason !== null : reason;
  const { nodeName } = pod.spec;
  const isOrphan = (pod.metadata.ownerReferences ?? []).length === 0;
  const isGoing = deleted && end === undefined;
  const isInterrupted = holds(pod, "DisruptionTarget");
  // A multi-machine run opens its gate once all containers run, which no state shows.
  return JSON.stringify([isGoing, isOrphan, nodeName, state, why, end?.exitCode, isInterrupted, isRunning(pod)]);
}

function isJustMade(pod: Pod): boolean {
  const { state, reason } = toMachineStatus(pod);
  return state === "unbound" && reason === null && !isDeleted(pod);
}

function isDeleted({ metadata }: KubeObject): boolean {
  return metadata.deletionTimestamp !== undefined;
}

function changedRuns(signal: AbortSignal) {
  // Each run is queued once: a cluster in trouble may emit faster than the caller reads.
  const waiting = new Map<string, RunRef>();
  let changedNodes: ChangedNodes | undefined;
  const versions: { Job?: string; Pod?: string } = {};
  let yieldedUpTo: string | undefined;
  const upTo = () => (versions.Job && versions.Pod ? `${versions.Job}.${versions.Pod}` : undefined);
  let failure: unknown;
  let wake = (): void => undefined;
  const abort = (): void => wake();
  return {
    emit: (ref: RunRef): void => {
      waiting.set(`${ref.uid} ${ref.run}`, ref);
      wake();
    },
    emitNodes: (nodes: ChangedNodes): void => {
      changedNodes = mergeChangedNodes(changedNodes, nodes);
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
    async *each(): AsyncGenerator<Change> {
      signal.addEventListener("abort", abort);
      try {
        while (!signal.aborted) {
          if (failure !== undefined) throw failure;
          const [next] = waiting;
          if (changedNodes) {
            const nodesChanged = changedNodes;
            changedNodes = undefined;
            yield { nodesChanged };
          } else if (next) {
            waiting.delete(next[0]);
            yield next[1];
          } else if (upTo() !== yieldedUpTo) {
            yieldedUpTo = upTo();
            if (yieldedUpTo !== undefined) yield { upTo: yieldedUpTo };
          } else await new Promise<void>((resolve) => (wake = resolve));
        }
      } finally {
        signal.removeEventListener("abort", abort);
      }
    },
  };
}
