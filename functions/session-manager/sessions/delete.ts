import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { callInbox } from "#core/chat/drop.ts";
import { WAIT_BUDGET_MS, waitForEnvironment } from "#core/environments/record/wait.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getSession, SessionRef } from "./schemas.ts";

const Terminated = z
  .object({
    uuid: z.string().describe("The session's id, 8 hexadecimal digits."),
    status: z.literal("terminated").describe("The session's current state."),
  })
  .meta({ id: "IdeSessionDeleted" });

const route = createRoute({
  method: "delete",
  path: "/session/{uuid}",
  operationId: "deleteIdeSession",
  tags: ["IDE sessions"],
  summary: "Back up the volume of a session and delete it",
  request: { params: SessionRef },
  responses: { 200: jsonReply(Terminated, { Deleted: { uuid: "abc12345", status: "terminated" } }) },
});

export const endpoint = sessionManager.endpoint(
  route,
  { uses: ["table", "queue"], timeoutSeconds: 29 },
  async ({ ctx, params }) => {
    const session = await getSession(ctx, params);
    await requestDelete(ctx, session.id);
    await callInbox(ctx, session);
    await waitForEnvironment(ctx, session.id, (found) => found === undefined, WAIT_BUDGET_MS);
    return { uuid: session.id, status: "terminated" as const };
  },
);

export const handler = lambda(endpoint, { table, queue });
