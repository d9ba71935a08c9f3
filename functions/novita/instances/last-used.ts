import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { touchEnvironment } from "#core/environments/verbs/touch.ts";
import { milliseconds } from "#http/answers/timestamp.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getInstance } from "./internal/named.ts";
import { exampleInstance, InstanceRef, Timestamp } from "./schemas.ts";

const LastUsed = z
  .object({
    lastUsedAt: z.iso
      .datetime({ offset: true, error: "lastUsedAt must be an RFC 3339 timestamp" })
      .nullish()
      .describe("When the instance was last used."),
  })
  .meta({ id: "MarkInstanceUsed" });
const Updated = z
  .object({
    instanceId: z.string().describe("The instance's id."),
    lastUsedAt: Timestamp.describe("When the instance was last used."),
    message: z.string().describe("What happened, in words."),
  })
  .meta({ id: "InstanceUsed" });

const route = createRoute({
  method: "put",
  path: "/api/instances/{instanceId}/last-used",
  operationId: "markInstanceUsed",
  tags: ["Instances"],
  summary: "Say that an instance is in use, so that it is not stopped",
  request: {
    params: InstanceRef,
    body: jsonBody(LastUsed, { Now: {}, "At that time": { lastUsedAt: "2026-01-20T18:05:00Z" } }),
  },
  responses: {
    200: jsonReply(Updated, {
      Noted: {
        instanceId: exampleInstance.id,
        lastUsedAt: "2026-01-20T18:05:00.000Z",
        message: "Last used time updated successfully",
      },
    }),
  },
});

export const endpoint = novita.endpoint(route, { uses: ["table"] }, async ({ ctx, params, body }) => {
  const { id } = await getInstance(ctx, params);
  const now = ctx.clock.now();
  const usedAt = body.lastUsedAt ? Date.parse(body.lastUsedAt) : now;
  const {
    use: { lastUsedAt },
  } = await touchEnvironment(ctx, id, usedAt);
  const message = "Last used time updated successfully";
  return { instanceId: id, lastUsedAt: milliseconds(lastUsedAt ?? now), message };
});

export const handler = lambda(endpoint, { table });
