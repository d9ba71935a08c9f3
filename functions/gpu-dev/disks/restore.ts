import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { restoreDisk } from "#core/disks/backups/from-snapshot.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { restoreExamples } from "./internal/examples.ts";
import { DiskName, DiskRef, DiskRestored, parseDiskName, toDiskRestored } from "./schemas.ts";

const RestoreDisk = z
  .object({
    snapshot_id: z.string().min(1).max(100).describe("The snapshot."),
    new_name: DiskName.describe("The disk's new name."),
  })
  .meta({ id: "RestoreDisk" });

const route = createRoute({
  method: "post",
  path: "/v1/disks/{disk_name}/restore",
  operationId: "restoreDisk",
  tags: ["Disks"],
  summary: "Make a new disk of a snapshot",
  description: "The original disk does not change. The first job of the new disk creates its volume.",
  request: { params: DiskRef, body: jsonBody(RestoreDisk, restoreExamples.requests) },
  responses: {
    200: jsonReply(DiskRestored, restoreExamples[200]),
    404: problemReply("There is no such disk, or no such snapshot of it"),
    409: problemReply("The snapshot is not completed, a disk of the new name exists, or there are 500 already"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], creates: "uuid4" },
  async ({ ctx, params, body, resource }) => {
    const name = parseDiskName(params);
    const wanted = { snapshotId: body.snapshot_id, newName: body.new_name };
    return toDiskRestored(await restoreDisk(ctx, name, wanted, resource), name);
  },
);

export const handler = lambda(endpoint, { table, queue });
