import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { declareNodeGone } from "#core/pools/capacity/node-gone.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { NodePath, OperatorReason } from "./schemas.ts";

const NodeGone = z
  .object({
    node: z.string().describe("The machine's name."),
    uid: z.string().describe("The id that the environment keeps for its whole life."),
    status: z.literal("gone").describe("The machine is treated as dead: what ran there is lost."),
  })
  .meta({ id: "NodeGone" });

const route = createRoute({
  method: "post",
  path: "/v1/admin/nodes/{name}/gone",
  operationId: "declareNodeGone",
  tags: ["Admin"],
  summary: "Say that a machine is dead: for 24 h what runs there is lost, and nothing is started there",
  request: {
    params: NodePath,
    body: jsonBody(OperatorReason, { "With a reason": { reason: "Its power supply failed" } }),
  },
  responses: {
    200: jsonReply(NodeGone, {
      Gone: {
        node: "ip-10-0-12-34.us-east-2.compute.internal",
        uid: "6f0b2a91-3c4d-4e5f-8a7b-0123456789ab",
        status: "gone",
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true },
  async ({ ctx, params, body, requestId }) =>
    audited(ctx, { action: "declare_node_gone", target: params.name, requestId }, async () => {
      const { name, uid } = await declareNodeGone(ctx, params.name, body.reason ?? null);
      return { node: name, uid, status: "gone" as const };
    }),
);

export const handler = lambda(endpoint, { table, queue });
