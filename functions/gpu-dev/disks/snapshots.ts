import * as z from "zod";
import { table } from "#aws/table.ts";
import { getDisk } from "#core/disks/view.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskRef, diskNameOf, Snapshot, toSnapshot } from "./wire.ts";

const Snapshots = z.object({ disk_name: z.string(), snapshots: z.array(Snapshot), total: z.int() });

export const endpoint = gpuDev.get(
  "/v1/disks/{disk_name}/snapshots",
  { summary: "List a disk's snapshots, the newest first", uses: ["table"], params: DiskRef, reply: Snapshots },
  async ({ ctx, params }) => {
    const { name, disk } = await getDisk(ctx, diskNameOf(params));
    const snapshots = disk.snapshots.map(toSnapshot).reverse();
    return { disk_name: name, snapshots, total: snapshots.length };
  },
);

export const handler = lambda(endpoint, { table });
