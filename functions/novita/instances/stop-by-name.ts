import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { fetch } from "#aws/fetch.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { instanceNamed } from "./internal/named.ts";
import { required } from "./internal/new-instance.ts";
import { exampleStop, StopOperation } from "./internal/operation.ts";
import { StopInstance, stopInstance } from "./internal/stop-instance.ts";

const StopNamed = StopInstance.extend({
  instanceName: required("Instance name is required for name-based stopping").describe(
    "The instance's name. Of several, the newest that is not being deleted is meant.",
  ),
}).meta({ id: "StopInstanceByName" });

const route = createRoute({
  method: "post",
  path: "/api/instances/stop",
  operationId: "stopInstanceByName",
  tags: ["Instances"],
  summary: "Stop your newest instance of a name",
  request: { body: jsonBody(StopNamed, { "By its name": { instanceName: "my-instance" } }) },
  responses: {
    200: jsonReply(StopOperation, { Stopping: exampleStop }),
    404: problemReply("You have no instance of this name"),
  },
});

export const endpoint = novita.endpoint(route, { uses: ["table", "queue", "sealer", "fetch"] }, async ({ ctx, body }) =>
  stopInstance(ctx, await instanceNamed(ctx, body.instanceName), body),
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch });
