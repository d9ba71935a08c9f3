import type { Context } from "../context.ts";
import type { RunRef } from "../ports/compute.ts";
import type { OrphanRun } from "./orphan-runs.ts";

/** A run that was removed after two reads found its record missing or past this run. */
export interface RemovedRun extends Pick<OrphanRun, "uid" | "run" | "key" | "why"> {
  readonly at: number;
}

const USELESS_MS = 600_000;
/** More useless runs at once mean that the table lost records, not a leak, so their work is kept. */
const MOST_REMOVED = 20;
/** Reads older than this are too old to act on. */
const BUDGET_MS = 20_000;

/**
 * Removes runs whose records were found past them or missing for ten minutes. Removes none with `orphansDryRun`, if
 * there are more than 20, or once the read (at `readAt` of the monotonic clock) is older than 20 s. Leftovers hold no
 * running command, so 20 of them are tried per ten minutes in rotation, and stuck ones do not block others. Returns the
 * runs whose removal the cluster accepted.
 */
export async function removeOrphans(
  ctx: Context<"compute">,
  seen: readonly OrphanRun[],
  { now, readAt, leftovers }: { readonly now: number; readonly readAt: number; readonly leftovers: readonly RunRef[] },
): Promise<RemovedRun[]> {
  if (ctx.settings.orphansDryRun) return [];
  const useless = seen.filter(({ uselessSince }) => uselessSince !== null && now - uselessSince >= USELESS_MS);
  const isLeftover = ({ uid, run }: OrphanRun) => leftovers.some((part) => part.uid === uid && part.run === run);
  const runs = useless.filter((run) => !isLeftover(run));
  const isTooMany = runs.length > MOST_REMOVED;
  if (isTooMany) ctx.log.error("too many orphans to remove", { runs: runs.length });
  const removed: RemovedRun[] = [];
  const chosen = [...(isTooMany ? [] : runs), ...inTurn(useless.filter(isLeftover), now)];
  for (const orphan of chosen) {
    const { uid, run, key, why } = orphan;
    if (ctx.clock.monotonic() - readAt > BUDGET_MS) break;
    try {
      const how = { graceSeconds: 0, force: false };
      await ctx.compute.remove(uid, run, isLeftover(orphan) ? { ...how, leftovers: true } : how);
      removed.push({ uid, run, key, why, at: now });
      ctx.log.warn("orphan removed", { look: key, uid, run, why });
    } catch (error) {
      ctx.log.warn("orphan not removed", { look: key, uid, run, error: String(error) });
    }
  }
  return removed;
}

function inTurn(leftovers: readonly OrphanRun[], now: number): readonly OrphanRun[] {
  const first = (Math.floor(now / USELESS_MS) * MOST_REMOVED) % Math.max(1, leftovers.length);
  return [...leftovers.slice(first), ...leftovers.slice(0, first)].slice(0, MOST_REMOVED);
}
