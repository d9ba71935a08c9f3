import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { fetch } from "#aws/fetch.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getInstance } from "./internal/named.ts";
import { exampleStop, StopOperation } from "./internal/operation.ts";
import { StopInstance, stopInstance } from "./internal/stop-instance.ts";
import { InstanceRef } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/api/instances/{instanceId}/stop",
  operationId: "stopInstance",
  tags: ["Instances"],
  summary: "Stop an instance: its storage is kept",
  request: { params: InstanceRef, body: jsonBody(StopInstance, { "Without further words": {} }) },
  responses: { 200: jsonReply(StopOperation, { Stopping: exampleStop }) },
});

export const endpoint = novita.endpoint(
  route,
  { uses: ["table", "queue", "sealer", "fetch"] },
  async ({ ctx, params, body }) => stopInstance(ctx, await getInstance(ctx, params), body),
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch });
