import { githubKeys } from "#aws/github-keys.ts";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { blobs } from "#aws/s3-blobs.ts";
import { table } from "#aws/table.ts";
import { reconcile } from "#core/reconcile.ts";
import { eachLook, work } from "#http/work.ts";
import { consumerLambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/look-compute.ts";
import { volumes } from "#lambda/look-volumes.ts";

/** Looks at environments and users; passes a look at a pool on to the pool's own queue. */
export const consumer = work.consume(
  {
    uses: ["table", "queue", "compute", "sealer", "volumes", "blobs", "githubKeys"],
    timeoutSeconds: 60,
    memoryMb: 512,
  },
  eachLook(reconcile),
);

export const handler = consumerLambda(consumer, { table, queue, compute, sealer, volumes, blobs, githubKeys });
