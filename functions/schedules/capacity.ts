import { table } from "#aws/dynamodb/table.ts";
import { machineGroups } from "#aws/eks/eks-machine-groups.ts";
import { queue } from "#aws/sqs/queue.ts";
import { refreshCapacity } from "#core/pools/capacity/capacity.ts";
import { cron } from "#http/cron.ts";
import { scheduleLambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/schedule-compute.ts";

/** Compares existing machines with the ledgers, reads node groups, and records whether the cluster answers. */
export const schedule = cron.every(
  { minutes: 1, atStart: true, uses: ["table", "queue", "compute", "machineGroups"] },
  (ctx) => refreshCapacity(ctx),
);

export const handler = scheduleLambda(schedule, { table, queue, compute, machineGroups });
