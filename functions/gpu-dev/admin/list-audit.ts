import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { type AuditRecord, listAudit, operatorActions } from "#core/admin/audit.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/request/query.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";

const ListAudit = z.object({
  limit: wholeNumber(1, 500).default(50).describe("Maximum number of entries to return, 1 to 500."),
  offset: wholeNumber(0, 10_000).default(0).describe("Number of entries to skip."),
});
const AuditEntry = z
  .object({
    id: z.string().describe("The entry's id."),
    at: Timestamp.describe("When the state changed."),
    operator: z.string().describe("The operator who acted."),
    key_prefix: z.string().describe("The first 8 characters of the operator's API key."),
    action: z.enum(operatorActions).describe("What the operator did."),
    target: z.string().nullable().describe("The target of the action; null if the action concerns everything."),
    request_id: z.string().describe("The `X-Request-ID` of the operator's request."),
    result: z.enum(["started", "done", "failed"]).describe("`started` before the action, then its outcome."),
    reason: z
      .string()
      .nullable()
      .describe("Why the action failed, what it left, or which job the first characters of an id stood for."),
    /** More than 1 only for reads: those of one kind within ten minutes share an entry. */
    count: z
      .int()
      .describe(
        "How many calls the entry stands for. Reads of one kind by one operator, with one key, share an entry for ten minutes; every other call has its own.",
      ),
  })
  .meta({ id: "AuditEntry" });

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
  responses: {
    200: jsonReply(Audit, {
      "What was done last": {
        entries: [
          {
            id: "019bdc9e-2f40-7a11-9c3d-0123456789ab",
            at: "2026-01-20T18:30:00Z",
            operator: "alice",
            key_prefix: "zHfR3kQ9",
            action: "drain_pool",
            target: "h100",
            request_id: "0123456789abcdef0123456789abcdef",
            result: "done",
            reason: null,
            count: 1,
          },
          {
            id: "019bdc9b-7a80-7b03-8f1e-4567890abcde",
            at: "2026-01-20T18:29:10Z",
            operator: "alice",
            key_prefix: "zHfR3kQ9",
            action: "list_jobs",
            target: null,
            request_id: "fedcba9876543210fedcba9876543210",
            result: "done",
            reason: null,
            count: 42,
          },
        ],
        more: true,
        limit: 2,
        offset: 0,
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], admin: true }, async ({ ctx, query }) => {
  const { limit, offset } = query;
  const found = await listAudit(ctx, offset + limit + 1);
  const page = found.slice(offset, offset + limit);
  return { entries: page.map(toAuditEntry), more: found.length > offset + limit, limit, offset };
});

export const handler = lambda(endpoint, { table });

function toAuditEntry(record: AuditRecord): z.infer<typeof AuditEntry> {
  const { operator, action, target, result, reason, count = 1 } = record;
  const [at, key_prefix, request_id] = [wholeSeconds(record.at), record.keyPrefix, record.requestId];
  return { id: record.sk, at, operator, key_prefix, action, target, request_id, result, reason, count };
}
