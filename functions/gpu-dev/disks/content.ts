import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { blobs } from "#aws/s3/s3-blobs.ts";
import { readContent } from "#core/disks/backups/content.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskRef, exampleDisk, parseDiskName } from "./schemas.ts";

const Content = z
  .object({
    disk_name: z.string().describe("The disk's name: at most 64 letters, digits, hyphens and underscores."),
    content: z
      .string()
      .nullable()
      .describe(
        "The files of the disk at its last completed snapshot that was listed, as `ls -R` prints them, at most 1 MiB; null without them.",
      ),
    s3_path: z.null().describe("Always null."),
    snapshot_date: Timestamp.nullable().describe("When that snapshot was taken; null if there is none."),
    message: z.string().nullable().describe("Why `content` is null; null if there is content."),
  })
  .meta({ id: "DiskContent" });

const route = createRoute({
  method: "get",
  path: "/v1/disks/{disk_name}/content",
  operationId: "getDiskContent",
  tags: ["Disks"],
  summary: "List the files of a disk's last backup",
  request: { params: DiskRef },
  responses: {
    200: jsonReply(Content, {
      "Two files": {
        disk_name: exampleDisk.disk_name,
        content: ".:\ncheckpoints\ntrain.py\n\n./checkpoints:\nepoch-1.pt\n",
        s3_path: null,
        snapshot_date: "2026-01-20T18:30:00Z",
        message: null,
      },
      "No backup yet": {
        disk_name: exampleDisk.disk_name,
        content: null,
        s3_path: null,
        snapshot_date: null,
        message: "Disk 'my-training-data' has no backup yet",
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table", "blobs"] }, async ({ ctx, params }) => {
  const name = parseDiskName(params);
  const { listing, at, problem } = await readContent(ctx, name);
  const snapshot_date = at === null ? null : wholeSeconds(at);
  const noBackup = problem === null ? `Disk '${name}' has no backup yet` : `Disk '${name}' has no backup. ${problem}`;
  const none = at === null ? noBackup : "The files of this backup were not listed";
  return { disk_name: name, content: listing, s3_path: null, snapshot_date, message: listing === null ? none : null };
});

export const handler = lambda(endpoint, { table, blobs });
