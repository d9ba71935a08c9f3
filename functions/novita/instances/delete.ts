import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { waitForEnvironment } from "#core/environments/record/wait.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getInstance } from "./internal/named.ts";
import { exampleInstance, InstanceRef } from "./schemas.ts";

const Deleted = z
  .object({
    instanceId: z.string().describe("The instance's id."),
    status: z.literal("deleted").describe("The instance's current state."),
    message: z.string().describe("What happened, in words."),
  })
  .meta({ id: "InstanceDeleted" });

const route = createRoute({
  method: "delete",
  path: "/api/instances/{instanceId}",
  operationId: "deleteInstance",
  tags: ["Instances"],
  summary: "Delete an instance with its storage",
  description: "Waits for at most 25 seconds until everything is gone.",
  request: { params: InstanceRef },
  responses: {
    200: jsonReply(Deleted, {
      Deleted: { instanceId: exampleInstance.id, status: "deleted", message: "Instance deleted successfully" },
    }),
  },
});

export const endpoint = novita.endpoint(route, { uses: ["table", "queue"], pace: "waits" }, async ({ ctx, params }) => {
  const { id } = await getInstance(ctx, params);
  await requestDelete(ctx, id);
  await waitForEnvironment(ctx, id, (found) => found === undefined);
  return { instanceId: id, status: "deleted" as const, message: "Instance deleted successfully" };
});

export const handler = lambda(endpoint, { table, queue });
