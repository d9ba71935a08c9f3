import type { Context } from "../context.ts";
import type { RunRef } from "../ports/compute.ts";
import type { OrphanRun } from "./orphan-runs.ts";

/** A run that was removed because its record was beyond it or missing, twice. */
export interface RemovedRun extends Pick<OrphanRun, "uid" | "run" | "key" | "why"> {
  readonly at: number;
}

const USELESS_MS = 600_000;
/** More than this many at once is no leak but a table that lost its records: their work is left alone. */
const MOST_REMOVED = 20;
/** What was read longer ago than this is too old to act on, as for every step. */
const BUDGET_MS = 20_000;

/**
 * Removes the runs whose records were read as beyond them or missing twice, ten minutes apart, now for the second time.
 * Removes none with `orphansDryRun`, where there are more than 20, or once the read, at `readAt` of the monotonic clock,
 * is older than 20 s. Of leftovers, with which nothing runs, 20 are tried at a time however many there are, others each
 * ten minutes: those that cannot go keep none from going. Answers those whose removal the cluster accepted.
 */
export async function removeOrphans(
  ctx: Context<"compute">,
  seen: readonly OrphanRun[],
  { now, readAt, leftovers }: { readonly now: number; readonly readAt: number; readonly leftovers: readonly RunRef[] },
): Promise<RemovedRun[]> {
  if (ctx.settings.orphansDryRun) return [];
  const useless = seen.filter(({ uselessSince }) => uselessSince !== null && now - uselessSince >= USELESS_MS);
  const isLeftover = ({ uid, run }: OrphanRun) => leftovers.some((part) => part.uid === uid && part.run === run);
  const runs = useless.filter((one) => !isLeftover(one));
  const isTooMany = runs.length > MOST_REMOVED;
  if (isTooMany) ctx.log.error("too many orphans to remove", { runs: runs.length });
  const removed: RemovedRun[] = [];
  const chosen = [...(isTooMany ? [] : runs), ...inTurn(useless.filter(isLeftover), now)];
  for (const one of chosen) {
    const { uid, run, key, why } = one;
    if (ctx.clock.monotonic() - readAt > BUDGET_MS) break;
    try {
      const how = { graceSeconds: 0, force: false };
      await ctx.compute.remove(uid, run, isLeftover(one) ? { ...how, leftovers: true } : how);
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
