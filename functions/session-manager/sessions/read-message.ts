import type * as z from "zod";
import { sealer } from "#aws/kms-sealer.ts";
import { table } from "#aws/table.ts";
import { type MessageStatus, readMessage, wasPosted } from "#core/chat/read.ts";
import { Problem } from "#core/problem.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#lambda/lambda.ts";
import { ChatMessage, MessageRef, sessionOf } from "./wire.ts";

type Outcome = Pick<z.infer<typeof ChatMessage>, "status" | "error">;

export const endpoint = sessionManager.get(
  "/session/{uuid}/chat/{message_id}",
  {
    summary: "Read what became of a message, and the session's answer",
    uses: ["table", "sealer"],
    params: MessageRef,
    reply: ChatMessage,
  },
  async ({ ctx, params }) => {
    const { id: uuid, uid } = await sessionOf(ctx, params);
    const { message_id } = params;
    const unknown = new Problem("notFound", `Message ${message_id.slice(0, 64)} not found`);
    if (!/^[1-9]\d{0,11}$/.test(message_id)) throw unknown;
    const n = Number(message_id);
    const message = await readMessage(ctx, uid, n);
    if (!message && !(await wasPosted(ctx, uid, n))) throw unknown;
    return { uuid, message_id, pod_response: message?.reply ?? null, ...outcomeOf(message) };
  },
);

function outcomeOf(message: MessageStatus | undefined): Outcome {
  if (!message) return { status: "expired", error: "Answers are kept for 24 hours" };
  if (message.state === "waiting") return { status: "waiting", error: null };
  if (message.state === "dropped") return { status: "failed", error: "The session slept before it got the message" };
  if (message.isAnswered) return { status: "answered", error: null };
  return { status: "failed", error: "The pod answered with an error, or with no JSON" };
}

export const handler = lambda(endpoint, { table, sealer });
