import { parseEnvironment } from "#core/environments/record/parse.ts";
import type { Item } from "#core/ports/table.ts";
import type { Scheduler } from "../scheduler.ts";
import type { SimulatedWorld } from "../world.ts";

/** The interval of polls, the age of a cached listing, and a late sweep. */
const SEEN_WITHIN_MS = 300_000 + 75_000 + 240_000;

/**
 * Checks that a reconcile sees each end of a command, even without a hint. Otherwise a stale listing would keep its
 * machines occupied. Returns the check to run at each step.
 */
export function endsSeen(sim: Scheduler, world: Pick<SimulatedWorld, "compute" | "table" | "watch">): () => void {
  /** Time of the end (as `awake` counts), by uid and run. */
  const unseen = new Map<string, { readonly uid: string; readonly run: number; readonly since: number }>();
  let readCount = 0;
  return () => {
    const history = world.compute.history();
    for (const { kind, uid, run } of history.slice(readCount)) {
      if (kind === "ended") unseen.set(`${uid} ${run}`, { uid, run, since: sim.awake() });
    }
    readCount = history.length;
    for (const [name, { uid, run, since }] of unseen) {
      const environment = world.watch.environments().get(uid);
      const isUnseen = environment?.run.n === run && environment.phase === "active" && environment.end.outcome === null;
      const ms = sim.awake() - Math.max(since, sim.calmSince());
      if (isUnseen && ms <= SEEN_WITHIN_MS) continue;
      unseen.delete(name);
      if (isUnseen && isReadable(world.table.all(), uid)) {
        world.watch.violations.push(`${environment.id} was over for ${Math.round(ms)} ms, and no look saw it`);
      }
    }
  };
}

/** Unreadable records are not reconciled. */
function isReadable(items: readonly Item[], uid: string): boolean {
  const item = items.find((item) => item.kind === "environment" && item.uid === uid);
  try {
    return item !== undefined && parseEnvironment(item).phase === "active";
  } catch {
    return false;
  }
}
