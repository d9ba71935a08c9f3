import * as z from "zod";
import { table } from "#aws/table.ts";
import { listAudit } from "#core/admin/audit.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeNumber } from "#http/query.ts";
import { lambda } from "#lambda/lambda.ts";
import { AuditEntry, toAuditEntry } from "./wire.ts";

const ListAudit = z.object({
  limit: wholeNumber(1, 500).default(50),
  offset: wholeNumber(0, 10_000).default(0),
});
const Audit = z.object({
  entries: z.array(AuditEntry),
  /** Whether there are older ones. */
  more: z.boolean(),
  limit: z.int(),
  offset: z.int(),
});

export const endpoint = gpuDev.get(
  "/v1/admin/audit",
  { summary: "What operators did, newest first", uses: ["table"], admin: true, query: ListAudit, reply: Audit },
  async ({ ctx, query }) => {
    const { limit, offset } = query;
    const found = await listAudit(ctx, offset + limit + 1);
    const page = found.slice(offset, offset + limit);
    return { entries: page.map(toAuditEntry), more: found.length > offset + limit, limit, offset };
  },
);

export const handler = lambda(endpoint, { table });
