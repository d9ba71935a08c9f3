import * as z from "zod";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { dropMessages } from "#core/chat/drop.ts";
import { requestStop } from "#core/environments/verbs/stop.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#lambda/lambda.ts";
import { SessionRef, sessionOf } from "./wire.ts";

const Asleep = z.object({ uuid: z.string(), action: z.literal("sleep"), status: z.literal("sleeping") });

export const endpoint = sessionManager.post(
  "/session/{uuid}/sleep",
  {
    summary: "Put a session to sleep: its volume is kept, waiting messages are dropped",
    uses: ["table", "queue", "sealer"],
    params: SessionRef,
    reply: Asleep,
  },
  async ({ ctx, params }) => {
    const session = await sessionOf(ctx, params);
    await dropMessages(ctx, session);
    await requestStop(ctx, session.id, { reason: "Put to sleep by its owner" });
    return { uuid: session.id, action: "sleep" as const, status: "sleeping" as const };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
