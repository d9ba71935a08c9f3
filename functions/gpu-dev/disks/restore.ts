import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import type { Restoring } from "#core/disks/backups/from-snapshot.ts";
import { restoreDisk } from "#core/disks/backups/from-snapshot.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import {
  DiskName,
  DiskRef,
  DiskRequested,
  exampleDisk,
  exampleOperation,
  parseDiskName,
  toDiskRequested,
} from "./schemas.ts";

const RestoreDisk = z
  .object({
    snapshot_id: z.string().min(1).max(100).describe("The snapshot."),
    new_name: DiskName.describe("The disk's new name."),
  })
  .meta({ id: "RestoreDisk" });

const DiskRestored = DiskRequested.extend({
  restored_from: z.string().describe("The disk that the snapshot is of."),
  snapshot_id: z.string().describe("The snapshot."),
  snapshot_date: Timestamp.describe("The point in time that the new disk will hold."),
}).meta({ id: "DiskRestored" });

const route = createRoute({
  method: "post",
  path: "/v1/disks/{disk_name}/restore",
  operationId: "restoreDisk",
  tags: ["Disks"],
  summary: "Make a new disk of a snapshot",
  description: "The original disk does not change. The first job of the new disk creates its volume.",
  request: {
    params: DiskRef,
    body: jsonBody(RestoreDisk, {
      "A snapshot": { snapshot_id: "snap-0fedcba9876543210", new_name: "my-training-data-before" },
    }),
  },
  responses: {
    200: jsonReply(DiskRestored, {
      Requested: {
        operation_id: exampleOperation,
        disk_name: "my-training-data-before",
        action: "create",
        message:
          "Disk restore request queued successfully. It will hold what 'my-training-data' held at 2026-01-19T18:30:00Z",
        requested_at: "2026-01-20T18:30:00Z",
        restored_from: exampleDisk.disk_name,
        snapshot_id: "snap-0fedcba9876543210",
        snapshot_date: "2026-01-19T18:30:00Z",
      },
    }),
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

function toDiskRestored({ operation, source }: Restoring, from: string): z.infer<typeof DiskRestored> {
  const snapshot_date = wholeSeconds(source.at);
  const message = `Disk restore request queued successfully. It will hold what '${from}' held at ${snapshot_date}`;
  return { ...toDiskRequested(operation), message, restored_from: from, snapshot_id: source.id, snapshot_date };
}
