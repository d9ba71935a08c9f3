import { table } from "#aws/table.ts";
import { getDisk } from "#core/disks/view.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { Disk, DiskRef, diskNameOf, toDisk } from "./wire.ts";

export const endpoint = gpuDev.get(
  "/v1/disks/{disk_name}",
  { summary: "Show a disk", uses: ["table"], params: DiskRef, reply: Disk, etag: [] },
  async ({ ctx, params }) => toDisk(await getDisk(ctx, diskNameOf(params)), ctx.actor.username),
);

export const handler = lambda(endpoint, { table });
