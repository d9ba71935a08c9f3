import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { requestSnapshot } from "#core/disks/backups/on-demand.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { snapshotExamples } from "./internal/examples.ts";
import { DiskRef, DiskSnapshotRequested, parseDiskName, toSnapshotRequested } from "./schemas.ts";

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
    200: jsonReply(DiskSnapshotRequested, snapshotExamples[200]),
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
