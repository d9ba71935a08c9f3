import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { deleteDisk } from "#core/disks/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskRef, DiskRequested, diskNameOf, toDiskRequested } from "./wire.ts";

export const endpoint = gpuDev.delete(
  "/v1/disks/{disk_name}",
  {
    summary: "Mark a disk for deletion",
    uses: ["table", "queue"],
    params: DiskRef,
    reply: DiskRequested,
    creates: "uuid4",
  },
  async ({ ctx, params, resource }) => toDiskRequested((await deleteDisk(ctx, diskNameOf(params), resource)).operation),
);

export const handler = lambda(endpoint, { table, queue });
