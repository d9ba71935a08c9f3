import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { dropMessages } from "#core/chat/drop.ts";
import { requestStop } from "#core/environments/verbs/stop.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getSession, SessionRef } from "./schemas.ts";

const Asleep = z
  .object({
    uuid: z.string().describe("The session's id, 8 hexadecimal digits."),
    action: z.literal("sleep").describe("The action."),
    status: z.literal("sleeping").describe("The session's current state."),
  })
  .meta({ id: "IdeSessionAsleep" });

const route = createRoute({
  method: "post",
  path: "/session/{uuid}/sleep",
  operationId: "sleepIdeSession",
  tags: ["IDE sessions"],
  summary: "Put a session to sleep: its volume is kept, waiting messages are dropped",
  request: { params: SessionRef },
  responses: { 200: jsonReply(Asleep, { Sleeping: { uuid: "abc12345", action: "sleep", status: "sleeping" } }) },
});

export const endpoint = sessionManager.endpoint(
  route,
  { uses: ["table", "queue", "sealer"] },
  async ({ ctx, params }) => {
    const session = await getSession(ctx, params);
    await dropMessages(ctx, session);
    await requestStop(ctx, session.id, { reason: "Put to sleep by its owner" });
    return { uuid: session.id, action: "sleep" as const, status: "sleeping" as const };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
