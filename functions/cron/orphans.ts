import { volumes } from "#aws/ebs-volumes.ts";
import { table } from "#aws/table.ts";
import { findOrphans } from "#core/admin/orphans.ts";
import { cron } from "#http/cron.ts";
import { scheduleLambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/schedule-compute.ts";

/** Compares what runs in the cluster with the records, for the operator, and removes what nobody wants any more. */
export const schedule = cron.every({ minutes: 5, atStart: true, uses: ["table", "compute", "volumes"] }, findOrphans);

export const handler = scheduleLambda(schedule, { table, compute, volumes });
