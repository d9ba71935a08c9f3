import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { deleteDisk } from "#core/disks/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskRef, DiskRequested, exampleRequest, parseDiskName, toDiskRequested } from "./schemas.ts";

const route = createRoute({
  method: "delete",
  path: "/v1/disks/{disk_name}",
  operationId: "deleteDisk",
  tags: ["Disks"],
  summary: "Mark a disk for deletion",
  description: "It is kept for 30 days, in which it can be had back.",
  request: { params: DiskRef },
  responses: {
    200: jsonReply(
      DiskRequested,
      exampleRequest(
        "delete",
        "Disk deletion request queued successfully. Will be deleted on 2026-02-19",
        "op-456-def",
      ),
    ),
    409: problemReply("The disk is in use"),
    410: problemReply("The disk is marked for deletion already"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], creates: "uuid4" },
  async ({ ctx, params, resource }) =>
    toDiskRequested((await deleteDisk(ctx, parseDiskName(params), resource)).operation),
);

export const handler = lambda(endpoint, { table, queue });
