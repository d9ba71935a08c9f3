import * as z from "zod";
import { table } from "#aws/table.ts";
import { touchEnvironment } from "#core/environments/verbs/touch.ts";
import { novita } from "#http/dialects/novita.ts";
import { milliseconds } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { instanceOf } from "./parts/named.ts";
import { InstanceRef, Timestamp } from "./wire.ts";

const LastUsed = z.object({
  lastUsedAt: z.iso.datetime({ offset: true, error: "lastUsedAt must be an RFC 3339 timestamp" }).nullish(),
});
const Updated = z.object({ instanceId: z.string(), lastUsedAt: Timestamp, message: z.string() });

export const endpoint = novita.put(
  "/api/instances/{instanceId}/last-used",
  {
    summary: "Say that an instance is in use, so that it is not stopped",
    uses: ["table"],
    params: InstanceRef,
    body: LastUsed,
    reply: Updated,
  },
  async ({ ctx, params, body }) => {
    const { id } = await instanceOf(ctx, params);
    const now = ctx.clock.now();
    const usedAt = body.lastUsedAt ? Date.parse(body.lastUsedAt) : now;
    const {
      use: { lastUsedAt },
    } = await touchEnvironment(ctx, id, usedAt);
    const message = "Last used time updated successfully";
    return { instanceId: id, lastUsedAt: milliseconds(lastUsedAt ?? now), message };
  },
);

export const handler = lambda(endpoint, { table });
