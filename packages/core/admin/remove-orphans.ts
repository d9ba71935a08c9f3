import type { Context } from "../context.ts";
import type { RunRef } from "../ports/compute.ts";
import type { OrphanRun } from "./orphans.ts";

/** A run that was removed because its record was beyond it or missing, twice. */
export interface RemovedRun extends Pick<OrphanRun, "uid" | "run" | "key" | "why"> {
  readonly at: number;
}

const USELESS_MS = 600_000;
/** More than this many at once is no leak but a table that lost its records: their work is left alone. */
const MOST_REMOVED = 20;
/** As for every step: what was read is too old to act on then. */
const BUDGET_MS = 20_000;

/**
 * Removes the runs whose records were read as beyond them or missing twice, ten minutes apart, now for the second time; none
 * where there are more than 20, or once the read, at `readAt` of the monotonic clock, is older than 20 s. Of leftovers,
 * with which nothing runs, 20 go at a time however many there are. Answers those whose removal the cluster accepted.
 */
export async function removeOrphans(
  ctx: Context<"compute">,
  seen: readonly OrphanRun[],
  { now, readAt, leftovers }: { readonly now: number; readonly readAt: number; readonly leftovers: readonly RunRef[] },
): Promise<RemovedRun[]> {
  const useless = seen.filter(({ uselessSince }) => uselessSince !== null && now - uselessSince >= USELESS_MS);
  const isLeftover = ({ uid, run }: OrphanRun) => leftovers.some((part) => part.uid === uid && part.run === run);
  const runs = useless.filter((one) => !isLeftover(one));
  const isTooMany = runs.length > MOST_REMOVED;
  if (isTooMany) ctx.log.error("too many orphans to remove", { runs: runs.length });
  const removed: RemovedRun[] = [];
  const chosen = [...(isTooMany ? [] : runs), ...useless.filter(isLeftover).slice(0, MOST_REMOVED)];
  for (const { uid, run, key, why } of chosen) {
    if (ctx.clock.monotonic() - readAt > BUDGET_MS) break;
    try {
      await ctx.compute.remove(uid, run, { graceSeconds: 0, force: false });
      removed.push({ uid, run, key, why, at: now });
      ctx.log.warn("orphan removed", { look: key, uid, run, why });
    } catch (error) {
      ctx.log.warn("orphan not removed", { look: key, uid, run, error: String(error) });
    }
  }
  return removed;
}
