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
import { exampleStart, StartOperation } from "./internal/operation.ts";
import { StartInstance, startInstance } from "./internal/start-instance.ts";

const StartNamed = StartInstance.extend({
  instanceName: required("Instance name is required for name-based starting").describe(
    "The instance's name. Of several, the newest that is not being deleted is meant.",
  ),
}).meta({ id: "StartInstanceByName" });

const route = createRoute({
  method: "post",
  path: "/api/instances/start",
  operationId: "startInstanceByName",
  tags: ["Instances"],
  summary: "Start your newest instance of a name",
  request: { body: jsonBody(StartNamed, { "By its name": { instanceName: "my-instance" } }) },
  responses: {
    202: jsonReply(StartOperation, { "On its way": exampleStart }, "Accepted"),
    404: problemReply("You have no instance of this name"),
    409: problemReply("It is being stopped or deleted"),
  },
});

export const endpoint = novita.endpoint(route, { uses: ["table", "queue", "sealer", "fetch"] }, async ({ ctx, body }) =>
  startInstance(ctx, await instanceNamed(ctx, body.instanceName), body),
);

export const handler = lambda(endpoint, { table, queue, sealer, fetch });
