import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { endRecord } from "#core/admin/end-record.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#http/lambda.ts";

/** As the alarm names it: partition and sort key with a bar between. */
const EndRecord = z.object({ key: z.string().min(1).max(2048) });
const Ended = z.object({ key: z.string(), status: z.literal("ended") });

export const endpoint = gpuDev.post(
  "/v1/admin/records/end",
  {
    summary: "End by force an environment whose record cannot be read",
    uses: ["table", "queue"],
    admin: true,
    body: EndRecord,
    reply: Ended,
  },
  async ({ ctx, body: { key }, requestId }) =>
    audited(ctx, { action: "end_record", target: key, requestId }, async () => {
      await endRecord(ctx, key);
      return { key, status: "ended" as const };
    }),
);

export const handler = lambda(endpoint, { table, queue });
