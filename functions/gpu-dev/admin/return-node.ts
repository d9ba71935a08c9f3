import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { returnNode } from "#core/pools/node-back.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { NodeBack, NodePath } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/admin/nodes/{name}/back",
  {
    summary: "Take back that a machine is dead; what was lost stays lost",
    uses: ["table", "queue"],
    admin: true,
    params: NodePath,
    reply: NodeBack,
  },
  async ({ ctx, params, requestId }) =>
    audited(ctx, { action: "return_node", target: params.name, requestId }, async () => {
      const { name, uid } = await returnNode(ctx, params.name);
      return { node: name, uid, status: "back" as const };
    }),
);

export const handler = lambda(endpoint, { table, queue });
