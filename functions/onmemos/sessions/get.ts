import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { exampleSession, getSession, Session, SessionRef, toSession } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/sessions/{session_id}",
  operationId: "getSession",
  tags: ["Sessions"],
  summary: "Read a session",
  request: { params: SessionRef },
  responses: {
    200: jsonReply(Session, { "It runs": exampleSession }),
    404: problemReply("It does not exist, or another user owns it", {
      "No such session": { detail: "Session not found" },
    }),
  },
});

export const endpoint = onmemos.endpoint(route, { uses: ["table"] }, async ({ ctx, params }) =>
  toSession(ctx.settings, await getSession(ctx, params.session_id, "Session")),
);

export const handler = lambda(endpoint, { table });
