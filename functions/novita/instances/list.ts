import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { listEnvironments } from "#core/environments/record/read.ts";
import { novita } from "#http/dialects/novita.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { showInstances } from "./internal/show.ts";
import { exampleInstance, Instance } from "./schemas.ts";

const ListInstances = z.object({
  limit: wholeNumber(1, 500).default(500).describe("Maximum number of entries to return."),
  offset: wholeNumber(0).default(0).describe("Number of entries to skip."),
});
const Instances = z
  .object({
    instances: z.array(Instance).describe("Your instances, newest first."),
    total: z.int().describe("Number of entries in all."),
  })
  .meta({ id: "InstanceList" });

const route = createRoute({
  method: "get",
  path: "/api/instances",
  operationId: "listInstances",
  tags: ["Instances"],
  summary: "List your instances, the newest first",
  request: { query: ListInstances },
  responses: { 200: jsonReply(Instances, { "One instance": { instances: [exampleInstance], total: 1 } }) },
});

export const endpoint = novita.endpoint(
  route,
  { uses: ["table", "sealer"] },
  async ({ ctx, query: { limit, offset } }) => {
    const { shown, total } = await listEnvironments(ctx, { limit, offset });
    return { instances: await showInstances(ctx, shown), total };
  },
);

export const handler = lambda(endpoint, { table, sealer });
