import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { undeleteDisk } from "#core/disks/requests.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { DiskRef, DiskRequested, exampleRequest, parseDiskName, toDiskRequested } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/disks/{disk_name}/undelete",
  operationId: "undeleteDisk",
  tags: ["Disks"],
  summary: "Keep a disk after all",
  request: { params: DiskRef },
  responses: {
    200: jsonReply(DiskRequested, exampleRequest("undelete", "Disk undelete request queued successfully")),
    409: problemReply("The disk is not marked for deletion"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], creates: "uuid4" },
  async ({ ctx, params, resource }) =>
    toDiskRequested((await undeleteDisk(ctx, parseDiskName(params), resource)).operation),
);

export const handler = lambda(endpoint, { table, queue });
