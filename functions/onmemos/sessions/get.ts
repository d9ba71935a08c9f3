import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getExamples } from "./internal/examples.ts";
import { getSession, Session, SessionRef, toSession } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/sessions/{session_id}",
  operationId: "getSession",
  tags: ["Sessions"],
  summary: "Read a session",
  request: { params: SessionRef },
  responses: {
    200: jsonReply(Session, getExamples[200]),
    404: problemReply("It does not exist, or another user owns it", getExamples[404]),
  },
});

export const endpoint = onmemos.endpoint(route, { uses: ["table"] }, async ({ ctx, params }) =>
  toSession(ctx.settings, await getSession(ctx, params.session_id, "Session")),
);

export const handler = lambda(endpoint, { table });
