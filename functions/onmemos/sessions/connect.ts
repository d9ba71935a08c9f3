import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { Connection, exampleSession, getSession, SessionRef, toConnection } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/sessions/{session_id}/connect",
  operationId: "getSessionConnection",
  tags: ["Sessions"],
  summary: "Get the address of a session",
  request: { params: SessionRef },
  responses: {
    200: jsonReply(Connection, {
      "Where it is": { url: exampleSession.url, websocket: exampleSession.websocket, ssh: false },
    }),
  },
});

export const endpoint = onmemos.endpoint(route, { uses: ["table"] }, async ({ ctx, params }) =>
  toConnection(ctx.settings, await getSession(ctx, params.session_id, "Session")),
);

export const handler = lambda(endpoint, { table });
