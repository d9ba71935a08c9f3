import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { requestResize } from "#core/environments/record/resize.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#lambda/lambda.ts";
import { resourcesOf, SessionRef, sessionOf } from "./wire.ts";

const Scale = z.object({ scale: z.enum(["up", "down"], "scale must be 'up' or 'down'").default("up") });
const Scaled = z.object({ uuid: z.string(), action: z.enum(["scale_up", "scale_down"]), status: z.literal("success") });

export const endpoint = sessionManager.post(
  "/session/{uuid}/scale",
  {
    summary: "Give a session more or less CPU and memory; asleep, from its next wake on",
    uses: ["table", "queue"],
    params: SessionRef,
    body: Scale,
    reply: Scaled,
  },
  async ({ ctx, params, body }) => {
    const session = await sessionOf(ctx, params);
    await requestResize(ctx, session.id, resourcesOf[body.scale]);
    return { uuid: session.id, action: `scale_${body.scale}` as const, status: "success" as const };
  },
);

export const handler = lambda(endpoint, { table, queue });
