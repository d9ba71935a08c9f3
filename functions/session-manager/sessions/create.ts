import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { shownText } from "#http/answers/shown-text.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { createExamples } from "./internal/examples.ts";
import { withFreeId } from "./internal/free-id.ts";
import { newSession } from "./internal/new-session.ts";
import { workspaceUrl } from "./schemas.ts";

/** Shown in lists and pages, so it must not contain line breaks. */
const UserId = z
  .string()
  .min(1)
  .max(320)
  .regex(shownText, "user_id must not contain control characters")
  .meta({ pattern: "^[^\\x00-\\x1f\\x7f-\\x9f]*$" });
const CreateSession = z
  .object({
    user_id: UserId.describe("A label of your choice. It is not an identity: the API key decides who you are."),
  })
  .meta({ id: "CreateIdeSession" });
const Created = z
  .object({
    uuid: z.string().describe("The session's id, 8 hexadecimal digits."),
    workspace_url: z.string().describe("The address of VS Code once the session runs."),
    status: z.literal("created").describe("The session's current state."),
    user_id: z.string().describe("A label of your choice. It is not an identity: the API key decides who you are."),
    created_at: Timestamp.describe("When it was created."),
  })
  .meta({ id: "IdeSessionCreated" });

const route = createRoute({
  method: "post",
  path: "/session/create",
  operationId: "createIdeSession",
  tags: ["IDE sessions"],
  summary: "Create a session",
  request: { body: jsonBody(CreateSession, createExamples.requests) },
  responses: { 201: jsonReply(Created, createExamples[201], "Created") },
});

export const endpoint = sessionManager.endpoint(
  route,
  { uses: ["table", "queue", "sealer"], creates: "hex8" },
  async ({ ctx, body, resource }) => {
    const session = await withFreeId(ctx, resource, (free) =>
      createEnvironment(ctx, newSession(ctx.settings, free, body.user_id)),
    );
    return {
      uuid: session.id,
      workspace_url: workspaceUrl(ctx.settings, session.id),
      status: "created" as const,
      user_id: body.user_id,
      created_at: wholeSeconds(session.createdAt),
    };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
