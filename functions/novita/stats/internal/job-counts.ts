import type { UserContext } from "#core/context.ts";
import { listEnvironments } from "#core/environments/record/read.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { Delivery } from "#core/webhooks/delivery.ts";
import { listDeliveries } from "#core/webhooks/requests.ts";

const RECENT_MS = 5 * 60_000;
const DELIVERIES = 500;

export interface JobCounts {
  readonly total: { readonly processed: number; readonly rate: number };
  readonly byType: Readonly<Record<"create_instance" | "monitor_instance" | "send_webhook", number>>;
}

/**
 * Counts the work for the caller's instances from their records: requested runs, recorded steps, and posts to
 * receivers. Of a deleted instance, only the posts are left. The rate is per second over the last 5 minutes.
 */
export async function countJobs(ctx: UserContext<"table">): Promise<JobCounts> {
  const [{ shown: instances }, page] = await Promise.all([
    listEnvironments(ctx),
    listDeliveries(ctx, { limit: DELIVERIES }),
  ]);
  const deliveries = page.deliveries.filter(({ environment }) => environment.createdBy === ctx.dialect);
  const byType = {
    create_instance: total(instances, ({ starts }) => starts + 1),
    monitor_instance: total(instances, ({ events: { count: timelineCount } }) => timelineCount),
    send_webhook: total(deliveries, ({ attemptCount }) => attemptCount),
  };
  const processed = byType.create_instance + byType.monitor_instance + byType.send_webhook;
  const since = ctx.clock.now() - RECENT_MS;
  const moments = [...instances.flatMap(listMoments), ...deliveries.flatMap(({ attempts }) => attempts)];
  const recent = moments.filter(({ at }) => at > since).length;
  return { total: { processed, rate: recent / (RECENT_MS / 1000) }, byType };
}

function listMoments({ queuedAt, events: { timeline } }: Environment): readonly { readonly at: number }[] {
  return [{ at: queuedAt }, ...timeline];
}

function total<One extends Environment | Delivery>(all: readonly One[], getCount: (record: One) => number): number {
  return all.reduce((sum, entry) => sum + getCount(entry), 0);
}
