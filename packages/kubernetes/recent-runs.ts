import type { RunObjects } from "./bound-nodes.ts";
import { nameOfRun, type RunId } from "./names.ts";

/** As long as one look takes at most, from what it read to its last call (docs/architecture.md#claims). */
const keptMs = 20_000;
/** An entry takes a few kB, and fewer looks than this run at once. */
const mostKept = 256;

/** An entry takes some hundred bytes. What is forgotten beyond this many costs one more question at its next look. */
const mostRemoved = 20_000;

/** What looks have just read of runs, for the further calls of the same look. */
export interface RecentRuns {
  keep(id: RunId, objects: RunObjects): void;
  /** undefined: it was not read lately. This does not prove that anything is gone. */
  find(id: RunId): RunObjects | undefined;
  /** What was read of it is out of date. */
  forget(id: RunId): void;
  /** The cluster accepted its removal. */
  markRemoved(id: RunId): void;
  /** Whether a removal was accepted here: it is gone, or soon will be. This does not prove that the run is gone. */
  wasRemoved(id: RunId): boolean;
}

/**
 * Remembers what was read of a run for 20 s. Only for calls that are right with it however much has changed meanwhile:
 * those that name the uid of an object, or need what never changes of one.
 */
export function recentRuns(now: () => number): RecentRuns {
  const kept = new Map<string, { readonly at: number; readonly objects: RunObjects }>();
  const removed = new Set<string>();
  return {
    keep(id, objects) {
      const name = nameOfRun(id);
      kept.delete(name);
      kept.set(name, { at: now(), objects });
      const [oldest] = kept.keys();
      if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest);
    },
    find(id) {
      const found = kept.get(nameOfRun(id));
      const age = now() - (found?.at ?? 0);
      return age >= 0 && age < keptMs ? found?.objects : undefined;
    },
    forget: (id) => void kept.delete(nameOfRun(id)),
    markRemoved(id) {
      removed.add(nameOfRun(id));
      const [oldest] = removed;
      if (removed.size > mostRemoved && oldest !== undefined) removed.delete(oldest);
    },
    wasRemoved: (id) => removed.has(nameOfRun(id)),
  };
}
