import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { sweepDisks } from "#core/reconciler/sweep.ts";
import { cron } from "#http/cron.ts";
import { scheduleLambda } from "#lambda/lambda.ts";

/**
 * Requests a reconcile of each due disk. The step in packages/core/disks/step.ts purges disks after their retention and
 * thins out backups.
 */
export const schedule = cron.every({ minutes: 1, atStart: true, uses: ["table", "queue"] }, (ctx) => sweepDisks(ctx));

export const handler = scheduleLambda(schedule, { table, queue });
