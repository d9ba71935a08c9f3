import type { Context } from "../context.ts";
import type { OrphanRun } from "./orphans.ts";

/** A run that was removed because its record had ended or was missing, twice. */
export interface RemovedRun extends Pick<OrphanRun, "uid" | "run" | "key" | "why"> {
  readonly at: number;
}

const USELESS_MS = 600_000;
/** More than this many at once is no leak but a table that lost its records: their work is left alone. */
const MOST_REMOVED = 20;
/** As for every step: what was read is too old to act on then. */
const BUDGET_MS = 20_000;

/**
 * Removes the runs whose records were read as ended or missing twice, ten minutes apart, now for the second time; none
 * where there are more than 20, or once the read, at `readAt` of the monotonic clock, is older than 20 s. Answers those
 * whose removal the cluster accepted.
 */
export async function removeOrphans(
  ctx: Context<"compute">,
  seen: readonly OrphanRun[],
  { now, readAt }: { readonly now: number; readonly readAt: number },
): Promise<RemovedRun[]> {
  const useless = seen.filter(({ uselessSince }) => uselessSince !== null && now - uselessSince >= USELESS_MS);
  if (useless.length > MOST_REMOVED) {
    ctx.log.error("too many orphans to remove", { runs: useless.length });
    return [];
  }
  const removed: RemovedRun[] = [];
  for (const { uid, run, key, why } of useless) {
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
