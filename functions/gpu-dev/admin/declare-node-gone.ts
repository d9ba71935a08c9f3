import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { declareNodeGone } from "#core/pools/capacity/node-gone.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { declareNodeGoneExamples } from "./internal/examples.ts";
import { NodeGone, NodePath, OperatorReason } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/admin/nodes/{name}/gone",
  operationId: "declareNodeGone",
  tags: ["Admin"],
  summary: "Say that a machine is dead: for 24 h what runs there is lost, and nothing is started there",
  request: { params: NodePath, body: jsonBody(OperatorReason, declareNodeGoneExamples.requests) },
  responses: { 200: jsonReply(NodeGone, declareNodeGoneExamples[200]) },
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
