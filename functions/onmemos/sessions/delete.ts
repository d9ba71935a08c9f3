import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { deleteSession, SessionRef } from "./schemas.ts";

const route = createRoute({
  method: "delete",
  path: "/v1/sessions/{session_id}",
  operationId: "deleteSession",
  tags: ["Sessions"],
  summary: "Delete a session with its files",
  request: { params: SessionRef },
  responses: {
    200: jsonReply(z.object({ ok: z.literal(true).describe("Always true.") }).meta({ id: "SessionDeleted" }), {
      Deleted: { ok: true },
    }),
  },
});

export const endpoint = onmemos.endpoint(route, { uses: ["table", "queue"] }, async ({ ctx, params }) => {
  await deleteSession(ctx, params.session_id, "Session");
  return { ok: true as const };
});

export const handler = lambda(endpoint, { table, queue });
