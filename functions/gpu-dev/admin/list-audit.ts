import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { listAudit } from "#core/admin/audit.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { listAuditExamples } from "./internal/examples.ts";
import { AuditEntry, toAuditEntry } from "./schemas.ts";

const ListAudit = z.object({
  limit: wholeNumber(1, 500).default(50).describe("Maximum number of entries to return, 1 to 500."),
  offset: wholeNumber(0, 10_000).default(0).describe("Number of entries to skip."),
});
const Audit = z
  .object({
    entries: z.array(AuditEntry).describe("The entries, newest first."),
    more: z.boolean().describe("Whether there are older entries."),
    limit: z.int().describe("Maximum number of jobs to return, 1 to 500."),
    offset: z.int().describe("Number of entries to skip."),
  })
  .meta({ id: "Audit" });

const route = createRoute({
  method: "get",
  path: "/v1/admin/audit",
  operationId: "listAudit",
  tags: ["Admin"],
  summary: "What operators did, newest first",
  request: { query: ListAudit },
  responses: { 200: jsonReply(Audit, listAuditExamples[200]) },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], admin: true }, async ({ ctx, query }) => {
  const { limit, offset } = query;
  const found = await listAudit(ctx, offset + limit + 1);
  const page = found.slice(offset, offset + limit);
  return { entries: page.map(toAuditEntry), more: found.length > offset + limit, limit, offset };
});

export const handler = lambda(endpoint, { table });
