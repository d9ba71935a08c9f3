import * as z from "zod";
import { blobs } from "#aws/s3-blobs.ts";
import { table } from "#aws/table.ts";
import { readContent } from "#core/disks/content.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { Timestamp, wholeSeconds } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskRef, diskNameOf } from "./wire.ts";

const Content = z.object({
  disk_name: z.string(),
  content: z.string().nullable(),
  s3_path: z.null(),
  snapshot_date: Timestamp.nullable(),
  message: z.string().nullable(),
});

export const endpoint = gpuDev.get(
  "/v1/disks/{disk_name}/content",
  { summary: "List the files of a disk's last backup", uses: ["table", "blobs"], params: DiskRef, reply: Content },
  async ({ ctx, params }) => {
    const name = diskNameOf(params);
    const { listing, at, problem } = await readContent(ctx, name);
    const snapshot_date = at === null ? null : wholeSeconds(at);
    const noBackup = problem === null ? `Disk '${name}' has no backup yet` : `Disk '${name}' has no backup. ${problem}`;
    const none = at === null ? noBackup : "The files of this backup were not listed";
    return { disk_name: name, content: listing, s3_path: null, snapshot_date, message: listing === null ? none : null };
  },
);

export const handler = lambda(endpoint, { table, blobs });
