import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { exampleState, readSession, SessionRef, SessionState } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/session/{uuid}/status",
  operationId: "getIdeSessionStatus",
  tags: ["IDE sessions"],
  summary: "Read the state of a session",
  request: { params: SessionRef },
  responses: { 200: jsonReply(SessionState, { "It runs": exampleState }) },
});

export const endpoint = sessionManager.endpoint(route, { uses: ["table"] }, ({ ctx, params }) =>
  readSession(ctx, params),
);

export const handler = lambda(endpoint, { table });
