import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { listEnvironments } from "#core/environments/record/read.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { exampleState, isLeaving, SessionSummary, toSessionSummary } from "./schemas.ts";

const Sessions = z
  .object({
    total: z.int().describe("Number of entries in all."),
    sessions: z.array(SessionSummary).describe("Your sessions, newest first."),
  })
  .meta({ id: "IdeSessionList" });

const route = createRoute({
  method: "get",
  path: "/sessions",
  operationId: "listIdeSessions",
  tags: ["IDE sessions"],
  summary: "List your sessions, the newest first",
  responses: {
    200: jsonReply(Sessions, {
      "One session": { total: 1, sessions: [{ uuid: "abc12345", ...exampleState.session }] },
    }),
  },
});

export const endpoint = sessionManager.endpoint(route, { uses: ["table"] }, async ({ ctx }) => {
  const { shown } = await listEnvironments(ctx, { matches: (session) => !isLeaving(session) });
  return { total: shown.length, sessions: shown.map((session) => toSessionSummary(ctx.settings, session)) };
});

export const handler = lambda(endpoint, { table });
