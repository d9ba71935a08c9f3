import type { UserContext } from "../../context.ts";
import { ownerRange } from "../../environments/record/wait-order.ts";
import { Problem } from "../../problem.ts";
import type { Settings } from "../../settings.ts";

/**
 * Throws `quota` when the caller has reached the limit of waiting environments in this pool. It counts over an
 * eventually consistent index, so a burst of requests may exceed the limit.
 */
export async function refuseFullLine(ctx: UserContext<"table">, pool: string): Promise<void> {
  const most = ctx.settings.maxWaitingPerUser;
  if (most === 0) return;
  const range = { index: "waiting", partition: pool, ...ownerRange(ctx.actor.uid) } as const;
  const waiting = await ctx.table.count({ ...range, limit: most });
  if (waiting < most) return;
  throw new Problem("quota", `You have ${waiting} ${ctx.noun}s waiting, at most ${most} may wait`);
}

/** Returns how many hours a job may wait. The first in line may wait twice as long, as its start is reserved. */
export function queueHours({ maxQueueHours }: Pick<Settings, "maxQueueHours">, isFirst: boolean): number {
  return isFirst ? 2 * maxQueueHours : maxQueueHours;
}
