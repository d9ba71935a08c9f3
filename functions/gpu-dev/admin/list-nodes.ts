import * as z from "zod";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { listNodes } from "#core/pools/list-nodes.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/query.ts";
import { lambda } from "#lambda/lambda.ts";
import { AdminNode, toAdminNode } from "./wire.ts";

const ListNodes = z.object({
  limit: wholeNumber(1, 500).default(50),
  offset: wholeNumber(0).default(0),
});
const Nodes = z.object({ nodes: z.array(AdminNode), total: z.int(), limit: z.int(), offset: z.int() });

export const endpoint = gpuDev.get(
  "/v1/admin/nodes",
  {
    summary: "The machines of all types, those that are gone first",
    uses: ["table"],
    admin: true,
    query: ListNodes,
    reply: Nodes,
  },
  async ({ ctx, query, requestId }) => {
    const { limit, offset } = query;
    return audited(ctx, { action: "list_nodes", target: null, requestId }, async () => {
      const nodes = await listNodes(ctx);
      const page = nodes.slice(offset, offset + limit);
      return { nodes: page.map(toAdminNode), total: nodes.length, limit, offset };
    });
  },
);

export const handler = lambda(endpoint, { table });
