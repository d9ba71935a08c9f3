import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { declareNodeGone } from "#core/pools/node-gone.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { NodeGone, NodePath, OperatorReason } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/admin/nodes/{name}/gone",
  {
    summary: "Say that a machine is dead: for 24 h what runs there is lost, and nothing is started there",
    uses: ["table", "queue"],
    admin: true,
    params: NodePath,
    body: OperatorReason,
    reply: NodeGone,
  },
  async ({ ctx, params, body, requestId }) =>
    audited(ctx, { action: "declare_node_gone", target: params.name, requestId }, async () => {
      const { name, uid } = await declareNodeGone(ctx, params.name, body.reason ?? null);
      return { node: name, uid, status: "gone" as const };
    }),
);

export const handler = lambda(endpoint, { table, queue });
