import type { RunObjects } from "./bound-nodes.ts";
import { nameOfRun, type RunId } from "./names.ts";

/** As long as one look takes at most, from what it read to its last call (docs/architecture.md#claims). */
const keptMs = 20_000;
/** An entry takes a few kB, and fewer looks than this run at once. */
const mostKept = 256;

/** What looks have just read of runs, for the further calls of the same look. */
export interface RecentRuns {
  keep(id: RunId, objects: RunObjects): void;
  /** undefined: it was not read lately. Nobody may take from it that something is gone. */
  find(id: RunId): RunObjects | undefined;
  forget(id: RunId): void;
}

/**
 * Remembers what was read of a run for 20 s. Only for calls that are right with it however much has changed meanwhile:
 * those that name the uid of an object, or need what never changes of one.
 */
export function recentRuns(now: () => number): RecentRuns {
  const kept = new Map<string, { readonly at: number; readonly objects: RunObjects }>();
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
  };
}
