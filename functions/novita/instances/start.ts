import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { fetch } from "#aws/fetch.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getInstance } from "./internal/named.ts";
import { exampleStart, StartOperation } from "./internal/operation.ts";
import { StartInstance, startInstance } from "./internal/start-instance.ts";
import { InstanceRef } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/api/instances/{instanceId}/start",
  operationId: "startInstance",
  tags: ["Instances"],
  summary: "Start an instance on its own storage",
  request: { params: InstanceRef, body: jsonBody(StartInstance, { "As it was": {} }) },
  responses: {
    202: jsonReply(StartOperation, { "On its way": exampleStart }, "Accepted"),
    409: problemReply("It is being stopped or deleted"),
  },
});

export const endpoint = novita.endpoint(
  route,
  { uses: ["table", "queue", "sealer", "fetch"] },
  async ({ ctx, params, body }) => startInstance(ctx, await getInstance(ctx, params), body),
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch });
