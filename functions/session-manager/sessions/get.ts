import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { exampleState, readSession, SessionRef, SessionState } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/session/{uuid}",
  operationId: "getIdeSession",
  tags: ["IDE sessions"],
  summary: "Read a session, as its status does",
  request: { params: SessionRef },
  responses: { 200: jsonReply(SessionState, { "It runs": exampleState }) },
});

export const endpoint = sessionManager.endpoint(route, { uses: ["table"] }, ({ ctx, params }) =>
  readSession(ctx, params),
);

export const handler = lambda(endpoint, { table });
