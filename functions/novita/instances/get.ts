import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getInstance } from "./internal/named.ts";
import { showInstance } from "./internal/show.ts";
import { exampleInstance, Instance, InstanceRef } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/api/instances/{instanceId}",
  operationId: "getInstance",
  tags: ["Instances"],
  summary: "Show an instance",
  request: { params: InstanceRef },
  responses: { 200: jsonReply(Instance, { "It is ready": exampleInstance }) },
});

export const endpoint = novita.endpoint(route, { uses: ["table", "sealer"] }, async ({ ctx, params }) =>
  showInstance(ctx, await getInstance(ctx, params)),
);

export const handler = lambda(endpoint, { table, sealer });
