import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { returnNode } from "#core/pools/capacity/node-back.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { returnNodeExamples } from "./internal/examples.ts";
import { NodeBack, NodePath } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/admin/nodes/{name}/back",
  operationId: "returnNode",
  tags: ["Admin"],
  summary: "Withdraw the declaration that a machine is dead; lost jobs stay lost",
  request: { params: NodePath },
  responses: { 200: jsonReply(NodeBack, returnNodeExamples[200]) },
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
