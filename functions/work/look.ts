import { reconcile } from "#core/reconcile.ts";
import { eachLook, work } from "#http/work.ts";

/** Looks at environments and users; passes a look at a pool on to the pool's own queue. */
export const consumer = work.consume(
  {
    uses: ["table", "queue", "compute", "sealer", "volumes", "blobs", "githubKeys"],
    timeoutSeconds: 60,
    memoryMb: 512,
  },
  eachLook(reconcile),
);
