import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { getOperation } from "#core/disks/operations.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { operationExamples } from "./internal/examples.ts";
import { DiskOperation, OperationRef, parseOperationRef, toDiskOperation } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/disks/{disk_name}/operations/{operation_id}",
  operationId: "getDiskOperation",
  tags: ["Disks"],
  summary: "Show what became of a request on a disk",
  request: { params: OperationRef },
  parameters: [{ name: "operation_id", in: "path", example: "op-5f0c7d1e-2b3a-4c5d-8e6f-0123456789ab" }],
  responses: { 200: jsonReply(DiskOperation, operationExamples[200]) },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx, params }) => {
  const { name, id } = parseOperationRef(params);
  return toDiskOperation(await getOperation(ctx, ctx.actor.uid, name, id), name);
});

export const handler = lambda(endpoint, { table });
