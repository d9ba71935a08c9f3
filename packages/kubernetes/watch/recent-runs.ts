import type { Observation } from "#core/ports/compute.ts";
import { nameOfRun, type RunId } from "../names.ts";
import type { RunObjects } from "../runs/bound-nodes.ts";

/** The longest time between a look's first read and its last call (docs/architecture/consistency.md#paused-workers). */
const keptMs = 20_000;
/** The look that removes a run follows at once. Another process may remove it meanwhile, and nobody tells this one. */
const endKeptMs = 1_000;
/** An entry takes a few kB. Never are so many looks in progress at once. */
const mostKept = 256;

/** An entry takes some hundred bytes. A removal that is forgotten costs one more request at the run's next look. */
const mostRemovals = 20_000;

interface Kept {
  readonly at: number;
  readonly objects: RunObjects;
  readonly end?: Observation;
}

/** What looks have just read of runs, for the further calls of the same look. */
export interface RecentRuns {
  keep(id: RunId, objects: RunObjects): void;
  /** What was read of it; undefined: it was not read lately, which does not prove that anything is gone. */
  find(id: RunId): RunObjects | undefined;
  /** Keeps for a second how a run was seen whose command is over, unless other objects of it were read meanwhile. */
  keepEnd(id: RunId, objects: RunObjects, seen: Observation): void;
  findEnd(id: RunId): Observation | undefined;
  /** Drops what was read of the run, since it is out of date. */
  forget(id: RunId): void;
  /** Notes that the cluster accepted the removal of the run. */
  markRemoved(id: RunId): void;
  /** Whether the cluster accepted a removal of it from this process. Its objects may still be there for a while. */
  wasRemoved(id: RunId): boolean;
}

/**
 * Remembers what was read of a run for 20 s. Use it only for calls that stay right when that is out of date: calls that
 * name the uid of an object, or need only fields that never change.
 */
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
      const [oldest] = kept.keys();
      if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
    },
    find: (id) => find(id)?.objects,
    keepEnd(id, objects, end) {
      const [name, found] = [nameOfRun(id), kept.get(nameOfRun(id))];
      // Another look may have read it anew, or removed it, since this one read it.
      if (found?.objects === objects && !removed.has(name)) kept.set(name, { ...found, end });
    },
    findEnd: (id) => find(id, endKeptMs)?.end,
    forget: (id) => void kept.delete(nameOfRun(id)),
    markRemoved(id) {
      removed.add(nameOfRun(id));
      const [oldest] = removed;
      if (removed.size > mostRemovals && oldest !== undefined) removed.delete(oldest);
    },
    wasRemoved: (id) => removed.has(nameOfRun(id)),
  };
}
