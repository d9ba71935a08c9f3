import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { sweepDisks } from "#core/reconciler/sweep.ts";
import { cron } from "#http/cron.ts";
import { scheduleLambda } from "#lambda/lambda.ts";

/**
 * Requests a reconcile of each disk that is due. The step of a disk purges what is past its retention, and thins its
 * backups out: packages/core/disks/step.ts.
 */
export const schedule = cron.every({ minutes: 1, atStart: true, uses: ["table", "queue"] }, (ctx) => sweepDisks(ctx));

export const handler = scheduleLambda(schedule, { table, queue });
