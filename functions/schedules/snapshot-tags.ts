import { table } from "#aws/dynamodb/table.ts";
import { volumes } from "#aws/ec2/ebs-volumes.ts";
import { queue } from "#aws/sqs/queue.ts";
import { mendSnapshotTags } from "#core/disks/backups/snapshot-tags.ts";
import { cron } from "#http/cron.ts";
import { scheduleLambda } from "#lambda/lambda.ts";

/**
 * Compares the tags of snapshots with the records of their disks, and requests a reconcile of disks whose tags are
 * missing or old. Tags nothing itself.
 */
export const schedule = cron.every(
  { minutes: 60, uses: ["table", "queue", "volumes"], timeoutSeconds: 300 },
  mendSnapshotTags,
);

export const handler = scheduleLambda(schedule, { table, queue, volumes });
