import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { returnNode } from "#core/pools/capacity/node-gone.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { NodePath } from "./schemas.ts";

const NodeBack = z
  .object({
    node: z.string().describe("The machine's name."),
    uid: z.string().describe("The id that the environment keeps for its whole life."),
    status: z.literal("back").describe("The machine counts again once the cluster lists it, within a minute."),
  })
  .meta({ id: "NodeBack" });

const route = createRoute({
  method: "post",
  path: "/v1/admin/nodes/{name}/back",
  operationId: "returnNode",
  tags: ["Admin"],
  summary: "Withdraw the declaration that a machine is dead; lost jobs stay lost",
  request: { params: NodePath },
  responses: {
    200: jsonReply(NodeBack, {
      Back: {
        node: "ip-10-0-12-34.us-east-2.compute.internal",
        uid: "6f0b2a91-3c4d-4e5f-8a7b-0123456789ab",
        status: "back",
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true },
  async ({ ctx, params, requestId }) =>
    audited(ctx, { action: "return_node", target: params.name, requestId }, async () => {
      const { name, uid } = await returnNode(ctx, params.name);
      return { node: name, uid, status: "back" as const };
    }),
);

export const handler = lambda(endpoint, { table, queue });
