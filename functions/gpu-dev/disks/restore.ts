import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { restoreDisk } from "#core/disks/from-snapshot.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskName, DiskRef, DiskRestored, diskNameOf, toDiskRestored } from "./wire.ts";

const RestoreDisk = z.object({ snapshot_id: z.string().min(1).max(100), new_name: DiskName });

export const endpoint = gpuDev.post(
  "/v1/disks/{disk_name}/restore",
  {
    summary: "Make a new disk of a snapshot",
    uses: ["table", "queue"],
    params: DiskRef,
    body: RestoreDisk,
    reply: DiskRestored,
    creates: "uuid4",
  },
  async ({ ctx, params, body, resource }) => {
    const name = diskNameOf(params);
    const wanted = { snapshotId: body.snapshot_id, newName: body.new_name };
    return toDiskRestored(await restoreDisk(ctx, name, wanted, resource), name);
  },
);

export const handler = lambda(endpoint, { table, queue });
