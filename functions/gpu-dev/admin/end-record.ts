import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { audited } from "#core/admin/audit.ts";
import { endRecord } from "#core/admin/end-record.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";

/** The key of a record in the form of the alarm: partition key, a bar, sort key. */
const EndRecord = z.object({ key: z.string().min(1).max(2048) });
const Ended = z.object({
  key: z.string(),
  status: z.literal("ended"),
  /** Of a disk: what it leaves, none of which is removed. */
  kept: z.object({ volume: z.string().nullable(), snapshots: z.array(z.string()) }).optional(),
});

export const endpoint = gpuDev.post(
  "/v1/admin/records/end",
  {
    summary: "End by force a job or a disk whose record cannot be read",
    uses: ["table", "queue"],
    admin: true,
    body: EndRecord,
    reply: Ended,
  },
  async ({ ctx, body: { key }, requestId }) =>
    audited(
      ctx,
      { action: "end_record", target: key, requestId },
      async () => {
        const kept = await endRecord(ctx, key);
        return { key, status: "ended" as const, ...(kept && { kept: { ...kept, snapshots: [...kept.snapshots] } }) };
      },
      ({ kept }) => (kept ? `Kept: ${[kept.volume ?? "no volume", ...kept.snapshots].join(", ")}` : null),
    ),
);

export const handler = lambda(endpoint, { table, queue });
