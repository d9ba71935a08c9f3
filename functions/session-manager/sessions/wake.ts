import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { callInbox } from "#core/chat/drop.ts";
import { requestStart } from "#core/environments/verbs/start.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getSession, SessionRef } from "./schemas.ts";

const Waking = z
  .object({
    uuid: z.string().describe("The session's id, 8 hexadecimal digits."),
    action: z.literal("wake").describe("The action."),
    status: z.literal("waking").describe("The session's current state."),
  })
  .meta({ id: "IdeSessionWaking" });

const route = createRoute({
  method: "post",
  path: "/session/{uuid}/wake",
  operationId: "wakeIdeSession",
  tags: ["IDE sessions"],
  summary: "Wake a session on the same volume",
  request: { params: SessionRef },
  responses: { 200: jsonReply(Waking, { Waking: { uuid: "abc12345", action: "wake", status: "waking" } }) },
});

export const endpoint = sessionManager.endpoint(
  route,
  { uses: ["table", "queue", "sealer"] },
  async ({ ctx, params }) => {
    const session = await getSession(ctx, params);
    await requestStart(ctx, session.id);
    await callInbox(ctx, session);
    return { uuid: session.id, action: "wake" as const, status: "waking" as const };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
