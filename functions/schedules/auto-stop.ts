import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { sweep } from "#core/reconciler/sweep.ts";
import { cron } from "#http/cron.ts";
import { scheduleLambda } from "#lambda/lambda.ts";

/**
 * Requests a reconcile of each due environment, user and pool. packages/core/environments/steps/auto-stop.ts decides
 * the automatic stop.
 */
export const schedule = cron.every({ minutes: 1, atStart: true, uses: ["table", "queue"] }, (ctx) => sweep(ctx));

export const handler = scheduleLambda(schedule, { table, queue });
