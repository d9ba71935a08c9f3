import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { createDisk } from "#core/disks/create.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { DEFAULT_SIZE_GB, DiskName, DiskRequested, DiskSizeGb, toDiskRequested } from "./wire.ts";

const CreateDisk = z.object({ disk_name: DiskName, size_gb: DiskSizeGb.default(DEFAULT_SIZE_GB) });

export const endpoint = gpuDev.post(
  "/v1/disks",
  { summary: "Create a disk", uses: ["table", "queue"], body: CreateDisk, reply: DiskRequested, creates: "uuid4" },
  async ({ ctx, body, resource }) =>
    toDiskRequested(await createDisk(ctx, { name: body.disk_name, sizeGb: body.size_gb }, resource)),
);

export const handler = lambda(endpoint, { table, queue });
