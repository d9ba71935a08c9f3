import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { createDisk } from "#core/disks/create.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { DEFAULT_SIZE_GB, DiskName, DiskRequested, DiskSizeGb, exampleRequest, toDiskRequested } from "./schemas.ts";

const CreateDisk = z
  .object({
    disk_name: DiskName.describe("The disk's name: at most 64 letters, digits, hyphens and underscores."),
    size_gb: DiskSizeGb.default(DEFAULT_SIZE_GB).describe("The disk's size in GB."),
  })
  .meta({ id: "CreateDisk" });

const route = createRoute({
  method: "post",
  path: "/v1/disks",
  operationId: "createDisk",
  tags: ["Disks"],
  summary: "Create a disk",
  request: { body: jsonBody(CreateDisk, { "500 GB": { disk_name: "my-training-data", size_gb: 500 } }) },
  responses: {
    200: jsonReply(DiskRequested, exampleRequest("create", "Disk creation request queued successfully", "op-123-abc")),
    409: problemReply(
      "A living disk has this name, there are 500 already, or the Idempotency-Key was used with another request",
    ),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], creates: "uuid4" },
  async ({ ctx, body, resource }) =>
    toDiskRequested(await createDisk(ctx, { name: body.disk_name, sizeGb: body.size_gb }, resource)),
);

export const handler = lambda(endpoint, { table, queue });
