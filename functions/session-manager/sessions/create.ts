import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import type { Context } from "#core/context.ts";
import type { Policy } from "#core/environments/record/policy.ts";
import type { Size } from "#core/environments/record/record.ts";
import { createEnvironment, type NewEnvironment } from "#core/environments/verbs/create.ts";
import { sharedType, sharedUnits } from "#core/fleet.ts";
import { Conflict } from "#core/problem.ts";
import type { NewResource } from "#core/store/idempotency.ts";
import { HOUR_MS } from "#core/units.ts";
import { shownText } from "#http/answers/shown-text.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import type { ServedSettings } from "#http/dialects/settings.ts";
import { AS_PRINTED, jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { formatHostLabel, resources, toWorkspace, Workspace } from "./schemas.ts";

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
    ...Workspace,
    status: z.literal("created").describe("The session's current state."),
    user_id: z.string().describe("A label of your choice. It is not an identity: the API key decides who you are."),
    created_at: Timestamp.describe("When it was created."),
  })
  .meta({ id: "IdeSessionCreated" });

const created = {
  uuid: "abc12345",
  workspace_url: "https://vs-code-abc12345.berth.example",
  status: "created",
  user_id: "user@example.com",
  created_at: "2026-01-20T18:00:00Z",
};

const TRIES = 5;

/** A guess for the plan, because a session has no end. */
const USUAL_MS = 8 * HOUR_MS;

const WORKSPACE_GB = 5;

/** The IDE, and `POST /chat`. */
const PORT = 8080;

/** Reserves the size of a scaled-up session, so that scaling never waits for capacity. */
const size: Size = {
  pool: sharedType.pool,
  instanceType: sharedType.name,
  machines: 1,
  units: sharedUnits(resources.up),
  gpus: 0,
  wantedMs: USUAL_MS,
};

/**
 * No sleep and no end unless requested, and a zip of the volume at deletion
 * (docs/apis/session-manager.md#effects-and-times).
 */
const policy: Policy = {
  time: "none",
  restarts: true,
  idle: null,
  archives: "workspace",
  readyWithinMs: null,
  firstFailure: "keeps",
  forgetsSpec: false,
};

const route = createRoute({
  method: "post",
  path: "/session/create",
  operationId: "createIdeSession",
  tags: ["IDE sessions"],
  summary: "Create a session",
  request: { body: jsonBody(CreateSession, { "A user's session": { user_id: "user@example.com" } }) },
  responses: {
    201: jsonReply(
      Created,
      {
        Created: created,
        [AS_PRINTED]: { ...created, workspace_url: "https://vs-code-abc12345.preview.hyperbola.in" },
      },
      "Created",
    ),
  },
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
      ...toWorkspace(ctx.settings, session.id),
      status: "created" as const,
      user_id: body.user_id,
      created_at: wholeSeconds(session.createdAt),
    };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });

/**
 * Creates a session under the chosen id, or under another one if that is taken, because ids have only 8 digits. The
 * other ids follow from the first, so a repeat arrives at the same one.
 */
async function withFreeId<Made>(
  ctx: Context,
  resource: NewResource,
  make: (resource: NewResource) => Promise<Made>,
): Promise<Made> {
  for (let tries = 1; ; tries++) {
    const otherId = ctx.ids.hash(`${resource.uid}#${tries}`);
    const free = tries === 1 ? resource : { ...resource, id: otherId.slice(-8), uid: otherId.slice(0, 32) };
    try {
      return await make(free);
    } catch (error) {
      if (!(error instanceof Conflict) || tries === TRIES) throw error;
    }
  }
}

function newSession(settings: ServedSettings, resource: NewResource, userId: string): NewEnvironment {
  return {
    ...resource,
    name: formatHostLabel(resource.id),
    labels: { user_id: userId },
    size,
    image: settings.sessionImage,
    command: undefined,
    env: {},
    policy: settings.sessionBackup ? policy : { ...policy, archives: null },
    volumes: [{ name: "workspace", path: "/workspace", sizeGb: WORKSPACE_GB }],
    ports: [{ port: PORT, kind: "http" }],
    resources: resources.down,
    addressLabel: formatHostLabel(resource.id),
  };
}
