import type { Context } from "../../context.ts";
import type { Environment } from "../../environments/record/record.ts";
import { forecastKey } from "../../store/keys.ts";
import { adviceIn, adviceKeys, notBefore } from "./advice.ts";
import { estimateFor } from "./estimate-new-job.ts";
import { standingIn } from "./stored-forecast.ts";

/**
 * Returns when a waiting environment should start, ms: from the forecast, else from the plan, else as one more job in
 * the last forecast. Beyond the reach of the forecast it is the earliest possible time. null if unknown. One batch
 * read.
 */
export async function readExpectedStart(ctx: Context<"table">, waiting: Environment): Promise<number | null> {
  const { owner, size, zone } = waiting;
  const whole = forecastKey(size.pool, null);
  const items = await ctx.table.getMany([...adviceKeys(waiting), whole]);
  const stored = new Map(items.map((item) => [item.pk, item]));
  const now = ctx.clock.now();
  const { place, start } = adviceIn(stored, waiting, now);
  const startsAt = start?.p50 ?? place?.startsAt ?? start?.later ?? null;
  if (startsAt !== null || start) return notBefore(now, startsAt);
  const standing = standingIn(stored.get(whole.pk), now);
  if (!standing) return null;
  const { machines, units, wantedMs } = size;
  const { p50, code, after } = estimateFor(standing, { owner, zone, machines, units, wantedMs }, now);
  return notBefore(now, p50 ?? (code === "later" ? after : null));
}
