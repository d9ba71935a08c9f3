import { table } from "#aws/dynamodb/table.ts";
import { volumes } from "#aws/ec2/ebs-volumes.ts";
import { compareOrphans } from "#core/admin/orphans.ts";
import { cron } from "#http/cron.ts";
import { scheduleLambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/schedule-compute.ts";

/**
 * Compares runs, volumes and snapshots with the records, reports mismatches to the operator, and removes runs that
 * were orphaned for ten minutes. Removes no volume and no snapshot.
 */
export const schedule = cron.every(
  { minutes: 5, atStart: true, uses: ["table", "compute", "volumes"] },
  compareOrphans,
);

export const handler = scheduleLambda(schedule, { table, compute, volumes });
