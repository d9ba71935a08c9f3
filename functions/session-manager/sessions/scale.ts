import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { requestResize } from "#core/environments/record/changes/resize.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getSession, resources, SessionRef } from "./schemas.ts";

const Scale = z
  .object({
    scale: z
      .enum(["up", "down"], "scale must be 'up' or 'down'")
      .default("up")
      .describe("`up` for more CPU and memory, `down` for less."),
  })
  .meta({ id: "ScaleIdeSession" });
const Scaled = z
  .object({
    uuid: z.string().describe("The session's id, 8 hexadecimal digits."),
    action: z.enum(["scale_up", "scale_down"]).describe("The action."),
    status: z.literal("success").describe("The session's current state."),
  })
  .meta({ id: "IdeSessionScaled" });

const route = createRoute({
  method: "post",
  path: "/session/{uuid}/scale",
  operationId: "scaleIdeSession",
  tags: ["IDE sessions"],
  summary: "Give a session more or less CPU and memory; asleep, from its next wake on",
  request: { params: SessionRef, body: jsonBody(Scale, { More: { scale: "up" }, Less: { scale: "down" } }) },
  responses: { 200: jsonReply(Scaled, { Scaled: { uuid: "abc12345", action: "scale_up", status: "success" } }) },
});

export const endpoint = sessionManager.endpoint(route, { uses: ["table", "queue"] }, async ({ ctx, params, body }) => {
  const session = await getSession(ctx, params);
  await requestResize(ctx, session.id, resources[body.scale]);
  return { uuid: session.id, action: `scale_${body.scale}` as const, status: "success" as const };
});

export const handler = lambda(endpoint, { table, queue });
