import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { planPools } from "#core/pools/plan/planner.ts";
import { pools } from "#http/work.ts";
import { consumerLambda } from "#lambda/lambda.ts";

/** Plans pools: one planner for each at a time in the ordinary case, the ledger's version for the rest. */
export const consumer = pools.consume({ uses: ["table", "queue"], timeoutSeconds: 15, memoryMb: 1024 }, planPools);

export const handler = consumerLambda(consumer, { table, queue });
