import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { type MessageStatus, readMessage, wasPosted } from "#core/chat/read.ts";
import { Problem } from "#core/problem.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getSession, SessionRef } from "./schemas.ts";

type Outcome = Pick<z.infer<typeof ChatMessage>, "status" | "error">;

const ChatMessage = z
  .object({
    uuid: z.string().describe("The session's id, 8 hexadecimal digits."),
    message_id: z.string().describe("The message's number in its session."),
    status: z
      .enum(["waiting", "answered", "failed", "expired"])
      .describe("`waiting` until it is delivered, then `answered` or `failed`; `expired` 24 hours after that."),
    pod_response: z.unknown().describe("The session's answer, unchanged; null unless the message was answered."),
    error: z.string().nullable().describe("Why there is no answer; null while it waits, and once it is answered."),
  })
  .meta({ id: "ChatMessage" });

const MessageRef = SessionRef.extend({
  message_id: z.string().meta({ example: "1" }).describe("The message's number in its session."),
});

const route = createRoute({
  method: "get",
  path: "/session/{uuid}/chat/{message_id}",
  operationId: "getIdeSessionMessage",
  tags: ["IDE sessions"],
  summary: "Read what became of a message, and the session's answer",
  request: { params: MessageRef },
  parameters: [{ name: "message_id", in: "path", example: "2" }],
  responses: {
    200: jsonReply(ChatMessage, {
      "It was answered": {
        uuid: "abc12345",
        message_id: "2",
        status: "answered",
        pod_response: { reply: "Hi" },
        error: null,
      },
      "It waits": { uuid: "abc12345", message_id: "2", status: "waiting", pod_response: null, error: null },
    }),
    404: problemReply("There is no such session, or no such message of it"),
  },
});

export const endpoint = sessionManager.endpoint(route, { uses: ["table", "sealer"] }, async ({ ctx, params }) => {
  const { id: uuid, uid } = await getSession(ctx, params);
  const { message_id } = params;
  const unknown = new Problem("notFound", `Message ${message_id.slice(0, 64)} not found`);
  if (!/^[1-9]\d{0,11}$/.test(message_id)) throw unknown;
  const n = Number(message_id);
  const message = await readMessage(ctx, uid, n);
  if (!message && !(await wasPosted(ctx, uid, n))) throw unknown;
  return { uuid, message_id, pod_response: message?.reply ?? null, ...getOutcome(message) };
});

function getOutcome(message: MessageStatus | undefined): Outcome {
  if (!message) return { status: "expired", error: "Answers are kept for 24 hours" };
  if (message.state === "waiting") return { status: "waiting", error: null };
  if (message.state === "dropped") return { status: "failed", error: "The session slept before it got the message" };
  if (message.isAnswered) return { status: "answered", error: null };
  return { status: "failed", error: "The pod answered with an error, or with no JSON" };
}

export const handler = lambda(endpoint, { table, sealer });
