import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { audited } from "#core/admin/audit.ts";
import { endRecord } from "#core/admin/end-record.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { exampleRecord } from "./schemas.ts";

/** A record key in the form of the alarm: partition key, a bar, sort key. */
const EndRecord = z
  .object({
    key: z
      .string()
      .min(1)
      .max(2048)
      .describe("The record's key as the alarm names it: partition key, a bar, sort key."),
  })
  .meta({ id: "EndRecord" });
const Ended = z
  .object({
    key: z.string().describe("The record's key as the alarm names it: partition key, a bar, sort key."),
    status: z.literal("ended").describe("The record was ended."),
    kept: z
      .object({
        volume: z.string().nullable().describe("The disk's volume, if it has one."),
        snapshots: z.array(z.string()).describe("The disk's snapshots."),
      })
      .optional()
      .describe("Of a disk: the volume and snapshots that remain in the cloud."),
  })
  .meta({ id: "EndedRecord" });

const route = createRoute({
  method: "post",
  path: "/v1/admin/records/end",
  operationId: "endRecord",
  tags: ["Admin"],
  summary: "End by force a job or a disk whose record cannot be read",
  request: { body: jsonBody(EndRecord, { "As the alarm names it": { key: exampleRecord } }) },
  responses: {
    200: jsonReply(Ended, {
      "A job": { key: exampleRecord, status: "ended" },
      "A disk, which leaves what holds its data": {
        key: "owner#5a8d0e2b7c914f36a1d4e8f0b3c6972d#disk|7c1e9a3b5d2f4806a9c3e1b7d5f20846",
        status: "ended",
        kept: { volume: "vol-0123456789abcdef0", snapshots: ["snap-1234567890abcdef0"] },
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], admin: true },
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
