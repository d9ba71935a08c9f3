import { table } from "#aws/dynamodb/table.ts";
import { githubKeys } from "#aws/github-keys.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { blobs } from "#aws/s3/s3-blobs.ts";
import { queue } from "#aws/sqs/queue.ts";
import { reconcile } from "#core/reconciler/reconcile.ts";
import { eachRequest, work } from "#http/work.ts";
import { consumerLambda } from "#lambda/lambda.ts";
import { compute, volumes } from "#lambda/worker-ports.ts";

/** Reconciles environments and users. Forwards requests for a pool to the pool's own queue. */
export const consumer = work.consume(
  {
    uses: ["table", "queue", "compute", "sealer", "volumes", "blobs", "githubKeys"],
    timeoutSeconds: 60,
    memoryMb: 512,
  },
  eachRequest(reconcile),
);

export const handler = consumerLambda(consumer, { table, queue, compute, sealer, volumes, blobs, githubKeys });
