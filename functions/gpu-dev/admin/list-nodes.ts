import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { audited } from "#core/admin/audit.ts";
import { listNodes } from "#core/pools/capacity/list-nodes.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { listNodesExamples } from "./internal/examples.ts";
import { AdminNode, toAdminNode } from "./schemas.ts";

const ListNodes = z.object({
  limit: wholeNumber(1, 500).default(50).describe("Maximum number of entries to return, 1 to 500."),
  offset: wholeNumber(0).default(0).describe("Number of entries to skip."),
});
const Nodes = z
  .object({
    nodes: z.array(AdminNode).describe("The machines, those that are gone first, then by name."),
    total: z.int().describe("Number of machines."),
    limit: z.int().describe("Maximum number of jobs to return, 1 to 500."),
    offset: z.int().describe("Number of entries to skip."),
  })
  .meta({ id: "AdminNodeList" });

const route = createRoute({
  method: "get",
  path: "/v1/admin/nodes",
  operationId: "listNodes",
  tags: ["Admin"],
  summary: "The machines of all types, those that are gone first",
  request: { query: ListNodes },
  responses: { 200: jsonReply(Nodes, listNodesExamples[200]) },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], admin: true }, async ({ ctx, query, requestId }) => {
  const { limit, offset } = query;
  return audited(ctx, { action: "list_nodes", target: null, requestId }, async () => {
    const nodes = await listNodes(ctx);
    const page = nodes.slice(offset, offset + limit);
    return { nodes: page.map(toAdminNode), total: nodes.length, limit, offset };
  });
});

export const handler = lambda(endpoint, { table });
