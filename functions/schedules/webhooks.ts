import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { sweepDeliveries } from "#core/reconciler/sweep.ts";
import { cron } from "#http/cron.ts";
import { scheduleLambda } from "#lambda/lambda.ts";

export const schedule = cron.every({ minutes: 1, atStart: true, uses: ["table", "queue"] }, sweepDeliveries);

export const handler = scheduleLambda(schedule, { table, queue });
