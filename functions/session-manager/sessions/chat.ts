import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { postMessage } from "#core/chat/post.ts";
import { waitForDelivery } from "#core/chat/read.ts";
import { touchEnvironment } from "#core/environments/verbs/touch.ts";
import { answer } from "#http/answers/answer.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getSession, SessionRef } from "./schemas.ts";

const LONGEST_BYTES = 64 * 1024;
const isShort = (text: string) => new TextEncoder().encode(text).length <= LONGEST_BYTES;

const Chat = z
  .object({
    message: z
      .string()
      .min(1)
      .refine(isShort, "message is too long")
      .describe("The message to the session, at most 64 KiB."),
  })
  .meta({ id: "Chat" });

/** Below the 6 s of docs/apis/session-manager.md#effects-and-times. */
const WAIT_MS = 5_000;

const Processed = z
  .object({
    uuid: z.string().describe("The session's id, 8 hexadecimal digits."),
    status: z.literal("processed").describe("The session's current state."),
    pod_response: z.unknown().describe("The session's answer, unchanged."),
    message_id: z.string().describe("The message's number in its session."),
  })
  .meta({ id: "ChatProcessed" });

const Queued = z
  .object({
    uuid: z.string().describe("The session's id, 8 hexadecimal digits."),
    status: z.literal("queued").describe("The session's current state."),
    message: z.string().describe("What happened, in words."),
    message_id: z.string().describe("The message's number in its session."),
  })
  .meta({ id: "ChatQueued" });

const route = createRoute({
  method: "post",
  path: "/session/{uuid}/chat",
  operationId: "chatWithIdeSession",
  tags: ["IDE sessions"],
  summary: "Send a message to a session, which is woken when it sleeps",
  description: "Waits for at most 5 seconds for its answer. Messages to one that sleeps or is busy wait for it.",
  request: { params: SessionRef, body: jsonBody(Chat, { Hello: { message: "Hello!" } }) },
  responses: {
    200: jsonReply(Processed, {
      "It answered": { uuid: "abc12345", status: "processed", pod_response: { reply: "Hi" }, message_id: "1" },
    }),
    202: jsonReply(
      Queued,
      {
        "It sleeps": {
          uuid: "abc12345",
          status: "queued",
          message: "Pod is waking up, message queued",
          message_id: "2",
        },
      },
      "The message waits for it",
    ),
  },
});

export const endpoint = sessionManager.endpoint(
  route,
  { uses: ["table", "queue", "sealer"], reply: z.union([Processed, Queued]) },
  async ({ ctx, params, body }) => {
    const session = await getSession(ctx, params);
    const { id: uuid } = session;
    const posted = await postMessage(ctx, uuid, body.message);
    await touchEnvironment(ctx, uuid, ctx.clock.now());
    const isAwake = session.phase === "active" && session.goal.desired === "active";
    const status = isAwake ? await waitForDelivery(ctx, posted, WAIT_MS) : undefined;
    const message_id = String(posted.n);
    if (status?.state === "delivered") {
      return { uuid, status: "processed" as const, pod_response: status.reply, message_id };
    }
    const message = isAwake ? "Pod has not answered yet, message queued" : "Pod is waking up, message queued";
    return answer({ uuid, status: "queued" as const, message, message_id }, { status: 202 });
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
