import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { undeleteDisk } from "#core/disks/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskRef, DiskRequested, diskNameOf, toDiskRequested } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/disks/{disk_name}/undelete",
  {
    summary: "Keep a disk after all",
    uses: ["table", "queue"],
    params: DiskRef,
    reply: DiskRequested,
    creates: "uuid4",
  },
  async ({ ctx, params, resource }) =>
    toDiskRequested((await undeleteDisk(ctx, diskNameOf(params), resource)).operation),
);

export const handler = lambda(endpoint, { table, queue });
