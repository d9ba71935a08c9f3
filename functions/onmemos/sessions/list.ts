import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { exampleSession, ListQuery, listSessions, Session, toSession } from "./schemas.ts";

const Sessions = z
  .object({
    sessions: z.array(Session).describe("Your sessions, newest first."),
    count: z.int().describe("Number of entries in the list."),
  })
  .meta({ id: "SessionList" });

const route = createRoute({
  method: "get",
  path: "/v1/sessions",
  operationId: "listSessions",
  tags: ["Sessions"],
  summary: "List your sessions, the newest first",
  request: { query: ListQuery },
  responses: { 200: jsonReply(Sessions, { "One session": { sessions: [exampleSession], count: 1 } }) },
});

export const endpoint = onmemos.endpoint(route, { uses: ["table"] }, async ({ ctx, query }) => {
  const found = await listSessions(ctx, query);
  return { sessions: found.map((session) => toSession(ctx.settings, session)), count: found.length };
});

export const handler = lambda(endpoint, { table });
