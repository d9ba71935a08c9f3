import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { requestSnapshot } from "#core/disks/on-demand.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskRef, DiskSnapshotRequested, diskNameOf, toSnapshotRequested } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/disks/{disk_name}/snapshots",
  {
    summary: "Make a snapshot of a disk",
    uses: ["table", "queue"],
    params: DiskRef,
    reply: DiskSnapshotRequested,
    creates: "uuid4",
  },
  async ({ ctx, params, resource }) => toSnapshotRequested(await requestSnapshot(ctx, diskNameOf(params), resource)),
);

export const handler = lambda(endpoint, { table, queue });
