import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { runWatcher, WATCH_MINUTES } from "#core/reconciler/watcher-lease.ts";
import { cron } from "#http/cron.ts";
import { scheduleLambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/schedule-compute.ts";

/** Forwards changes in the cluster. The next watcher starts before this one ends. */
export const schedule = cron.every(
  { minutes: WATCH_MINUTES, atStart: true, uses: ["table", "queue", "compute"], timeoutSeconds: 720 },
  runWatcher,
);

export const handler = scheduleLambda(schedule, { table, queue, compute });
