import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import type { SnapshotRequested } from "#core/disks/backups/on-demand.ts";
import { requestSnapshot } from "#core/disks/backups/on-demand.ts";
import { wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskRef, DiskRequested, exampleDisk, exampleOperation, parseDiskName, toDiskRequested } from "./schemas.ts";

const DiskSnapshotRequested = DiskRequested.extend({
  replaces: z
    .string()
    .nullable()
    .describe("The snapshot on demand that is removed once this one is completed; null while none has to go."),
}).meta({ id: "DiskSnapshotRequested" });

const route = createRoute({
  method: "post",
  path: "/v1/disks/{disk_name}/snapshots",
  operationId: "createDiskSnapshot",
  tags: ["Disks"],
  summary: "Make a snapshot of a disk",
  description:
    "The disk may be in use: EBS and CSI drivers then keep the data written so far, as after a power cut. On the embedded stack the request fails while a job has the disk. A disk keeps the newest five snapshots on demand, apart from its backups.",
  request: { params: DiskRef },
  responses: {
    200: jsonReply(DiskSnapshotRequested, {
      Requested: {
        operation_id: exampleOperation,
        disk_name: exampleDisk.disk_name,
        action: "snapshot",
        message: "Disk snapshot request queued successfully",
        requested_at: "2026-01-20T18:30:00Z",
        replaces: null,
      },
    }),
    409: problemReply(
      "A snapshot of the disk is being made already, 20 of your disks have such a request, or no job has used the disk yet",
    ),
    410: problemReply("The disk is marked for deletion"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], creates: "uuid4" },
  async ({ ctx, params, resource }) => toSnapshotRequested(await requestSnapshot(ctx, parseDiskName(params), resource)),
);

export const handler = lambda(endpoint, { table, queue });

/** Names the snapshot that the new one replaces, because none is removed silently. */
function toSnapshotRequested({ operation, replaces }: SnapshotRequested): z.infer<typeof DiskSnapshotRequested> {
  const { message, ...requested } = toDiskRequested(operation);
  if (!replaces) return { ...requested, message, replaces: null };
  const text = `${message}. Once it is completed, ${replaces.id} of ${wholeSeconds(replaces.at)} is removed`;
  return { ...requested, message: text, replaces: replaces.id };
}
