import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { audited } from "#core/admin/audit.ts";
import { type ListedNode, listNodes } from "#core/pools/capacity/list-nodes.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";

const ListNodes = z.object({
  limit: wholeNumber(1, 500).default(50).describe("Maximum number of entries to return, 1 to 500."),
  offset: wholeNumber(0).default(0).describe("Number of entries to skip."),
});
const AdminNode = z
  .object({
    node: z.string().describe("The machine's name."),
    uid: z.string().describe("The uid of its node object."),
    gpu_type: z.string().describe("The type of GPU."),
    zone: z.string().describe("The machine's zone."),
    status: z
      .enum(["ready", "not_ready", "cordoned", "tainted", "gone"])
      .describe("`gone`: its node object is not there any more, or an operator called it dead."),
    units: z.int().describe("What it offers: GPUs, vCPUs of a shared machine, 1 for another CPU machine."),
    units_in_use: z.int().describe("How much of that environments have."),
    gone_until: Timestamp.nullable().describe(
      "Until when an operator's declaration that it is dead counts; null if there is none.",
    ),
  })
  .meta({ id: "AdminNode" });

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
  responses: {
    200: jsonReply(Nodes, {
      "One that an operator called dead": {
        nodes: [
          {
            node: "ip-10-0-12-34.us-east-2.compute.internal",
            uid: "6f0b2a91-3c4d-4e5f-8a7b-0123456789ab",
            gpu_type: "h100",
            zone: "us-east-2a",
            status: "gone",
            units: 8,
            units_in_use: 8,
            gone_until: "2026-01-21T18:30:00Z",
          },
        ],
        total: 1,
        limit: 50,
        offset: 0,
      },
    }),
  },
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

function toAdminNode({ name, uid, pool, zone, state, ...rest }: ListedNode): z.infer<typeof AdminNode> {
  const gone_until = rest.goneUntil === null ? null : wholeSeconds(rest.goneUntil);
  const [units, units_in_use] = [rest.units, rest.unitsInUse];
  return { node: name, uid, gpu_type: pool, zone, status: state, units, units_in_use, gone_until };
}
