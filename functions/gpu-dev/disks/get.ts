import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { getDisk } from "#core/disks/view.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { AS_PRINTED, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { Disk, DiskRef, exampleDisk, parseDiskName, toDisk } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/disks/{disk_name}",
  operationId: "getDisk",
  tags: ["Disks"],
  summary: "Show a disk",
  request: { params: DiskRef },
  responses: {
    200: jsonReply(Disk, {
      "A disk in use": exampleDisk,
      [AS_PRINTED]: { ...exampleDisk, user_id: "jschmidt@meta.com", reservation_id: "abc-123" },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], etag: [] }, async ({ ctx, params }) =>
  toDisk(await getDisk(ctx, parseDiskName(params)), ctx.actor.username),
);

export const handler = lambda(endpoint, { table });
