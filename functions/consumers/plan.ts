import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { planPools } from "#core/pools/plan/planner.ts";
import { pools } from "#http/work.ts";
import { consumerLambda } from "#lambda/lambda.ts";

/** Plans pools. The FIFO group usually allows one planner per pool, and the ledger's version guards the rest. */
export const consumer = pools.consume({ uses: ["table", "queue"], timeoutSeconds: 15, memoryMb: 1024 }, planPools);

export const handler = consumerLambda(consumer, { table, queue });
