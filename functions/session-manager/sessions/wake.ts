import * as z from "zod";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { callInbox } from "#core/chat/drop.ts";
import { requestStart } from "#core/environments/verbs/start.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#lambda/lambda.ts";
import { SessionRef, sessionOf } from "./wire.ts";

const Waking = z.object({ uuid: z.string(), action: z.literal("wake"), status: z.literal("waking") });

export const endpoint = sessionManager.post(
  "/session/{uuid}/wake",
  {
    summary: "Wake a session on the same volume",
    uses: ["table", "queue", "sealer"],
    params: SessionRef,
    reply: Waking,
  },
  async ({ ctx, params }) => {
    const session = await sessionOf(ctx, params);
    await requestStart(ctx, session.id);
    await callInbox(ctx, session);
    return { uuid: session.id, action: "wake" as const, status: "waking" as const };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
