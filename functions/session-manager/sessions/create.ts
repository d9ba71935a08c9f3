import * as z from "zod";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { createEnvironment } from "#core/environments/verbs/create.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { shownText } from "#http/shown-text.ts";
import { Timestamp, wholeSeconds } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { withFreeId } from "./parts/free-id.ts";
import { newSession } from "./parts/new-session.ts";
import { workspaceUrl } from "./wire.ts";

/** It is shown in lists, lines and pages: a line break in it would pass for another line. */
const UserId = z
  .string()
  .min(1)
  .max(320)
  .regex(shownText, "user_id must not contain control characters")
  .meta({ pattern: "^[^\\x00-\\x1f\\x7f-\\x9f]*$" });
const CreateSession = z.object({ user_id: UserId });
const Created = z.object({
  uuid: z.string(),
  workspace_url: z.string(),
  status: z.literal("created"),
  user_id: z.string(),
  created_at: Timestamp,
});

export const endpoint = sessionManager.post(
  "/session/create",
  {
    summary: "Create a session",
    uses: ["table", "queue", "sealer"],
    body: CreateSession,
    reply: Created,
    status: 201,
    creates: "hex8",
  },
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
