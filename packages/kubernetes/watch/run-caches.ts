import type { Observation } from "#core/ports/compute.ts";
import { nameOfRun, type RunId } from "../names.ts";
import type { RunObjects } from "../runs/bound-nodes.ts";

/** Longest time of a reconcile from its first read (docs/architecture/consistency.md#paused-workers). */
const keptMs = 20_000;
/** Short, because another process may remove the run. The reconcile that removes it follows at once. */
const endKeptMs = 1_000;
/** Limit of entries, a few kB each. Fewer reconciles run at once. */
const mostKept = 256;

/** Limit of entries, some hundred bytes each. A forgotten removal costs one more request. */
const mostRemovals = 20_000;

interface Kept {
  readonly at: number;
  readonly objects: RunObjects;
  readonly end?: Observation;
}

/** Cache of the objects that a reconcile has read, for its further calls. */
export interface RecentRuns {
  keep(id: RunId, objects: RunObjects): void;
  /** Returns the objects, or undefined if they were not read recently, which does not mean that the run is gone. */
  find(id: RunId): RunObjects | undefined;
  /** Keeps the observation of an ended run for a second, unless other objects of it were read since. */
  keepEnd(id: RunId, objects: RunObjects, seen: Observation): void;
  findEnd(id: RunId): Observation | undefined;
  forget(id: RunId): void;
  markRemoved(id: RunId): void;
  /** Reports whether this process removed the run. Its objects may still exist for a while. */
  wasRemoved(id: RunId): boolean;
}

/** Returns a cache of 20 s. Use it only for calls that name a uid or need only immutable fields. */
export function recentRuns(now: () => number): RecentRuns {
  const kept = new Map<string, Kept>();
  const removed = new Set<string>();
  const find = (id: RunId, withinMs = keptMs) => {
    const found = kept.get(nameOfRun(id));
    const age = now() - (found?.at ?? 0);
    return age >= 0 && age < withinMs ? found : undefined;
  };
  return {
    keep(id, objects) {
      const name = nameOfRun(id);
      kept.delete(name);
      kept.set(name, { at: now(), objects });
      dropOldest(kept, mostKept);
    },
    find: (id) => find(id)?.objects,
    keepEnd(id, objects, end) {
      const [name, found] = [nameOfRun(id), kept.get(nameOfRun(id))];
      // Another reconcile may have read or removed the run since.
      if (found?.objects === objects && !removed.has(name)) kept.set(name, { ...found, end });
    },
    findEnd: (id) => find(id, endKeptMs)?.end,
    forget: (id) => void kept.delete(nameOfRun(id)),
    markRemoved(id) {
      removed.add(nameOfRun(id));
      dropOldest(removed, mostRemovals);
    },
    wasRemoved: (id) => removed.has(nameOfRun(id)),
  };
}

/** Limit of entries, some hundred bytes each. A run whose pod is forgotten costs a list instead of a read. */
const mostKnown = 20_000;

/** Names of the pods that a watch has shown. */
export interface KnownPods {
  add(id: RunId, name: string): void;
  remove(id: RunId, name: string): void;
  /** Returns undefined for no pod or several. */
  findOnlyPod(id: RunId): string | undefined;
}

export function knownPods(): KnownPods {
  const podsByRun = new Map<string, readonly string[]>();
  const listOthers = (run: string, name: string) => (podsByRun.get(run) ?? []).filter((podName) => podName !== name);
  const keep = (run: string, names: readonly string[]) => {
    podsByRun.delete(run);
    if (names.length > 0) podsByRun.set(run, names);
    dropOldest(podsByRun, mostKnown);
  };
  return {
    add: (id, name) => keep(nameOfRun(id), [...listOthers(nameOfRun(id), name), name]),
    remove: (id, name) => keep(nameOfRun(id), listOthers(nameOfRun(id), name)),
    findOnlyPod(id) {
      const [only, ...others] = podsByRun.get(nameOfRun(id)) ?? [];
      return others.length === 0 ? only : undefined;
    },
  };
}

function dropOldest(kept: Map<string, unknown> | Set<string>, most: number): void {
  const [oldest] = kept.keys();
  if (kept.size > most && oldest !== undefined) kept.delete(oldest);
}
