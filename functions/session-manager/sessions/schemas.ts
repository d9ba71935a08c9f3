import * as z from "zod";
import { countWaiting } from "#core/chat/read.ts";
import type { UserContext } from "#core/context.ts";
import type { Phase } from "#core/environments/record/phases.ts";
import { type Brief, getEnvironment } from "#core/environments/record/read.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { Resources } from "#core/ports/compute.ts";
import { Problem } from "#core/problem.ts";
import type { Settings } from "#core/settings.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { formatNoPages } from "../../shared/internal/no-pages.ts";

/** Address of the page of a session, or why it has none. */
export const Workspace = {
  workspace_url: z
    .string()
    .nullable()
    .describe("The address of VS Code once the session runs; null if the deployment serves no pages."),
  warning: z.string().optional().describe("Why no address leads to VS Code; left out if one does."),
};

const SessionStatus = z.enum(["created", "waking", "running", "sleeping", "failed"]);

type Status = z.infer<typeof SessionStatus>;

export const SessionRef = z.object({
  uuid: z.string().meta({ example: "abc12345" }).describe("The session's id, 8 hexadecimal digits."),
});

export const SessionState = z
  .object({
    uuid: z.string().describe("The session's id, 8 hexadecimal digits."),
    replicas: z.int().describe("0 while the session sleeps, 1 while it has a container."),
    queue_length: z.int().describe("Number of messages that wait for the session."),
    session: z
      .object({
        user_id: z.string().describe("A label of your choice. It is not an identity: the API key decides who you are."),
        ...Workspace,
        status: SessionStatus.describe("The session's current state."),
        created_at: Timestamp.describe("When it was created."),
        last_activity: Timestamp.describe("When the session was last used. Reading its state does not count."),
      })
      .meta({ id: "IdeSessionDetails" })
      .describe("The session's owner, state and times."),
    timestamp: Timestamp.describe("When this state was read."),
  })
  .meta({ id: "IdeSession" });

export const SessionSummary = z
  .object({
    uuid: z.string().describe("The session's id, 8 hexadecimal digits."),
    user_id: z.string().describe("A label of your choice. It is not an identity: the API key decides who you are."),
    ...Workspace,
    status: SessionStatus.describe("The session's current state."),
    created_at: Timestamp.describe("When it was created."),
    last_activity: Timestamp.describe("When the session was last used. Reading its state does not count."),
  })
  .meta({ id: "IdeSessionSummary" });

/** Returns the session in a path. Throws `notFound` for any other text, and for a session that is being deleted. */
export async function getSession(
  ctx: UserContext<"table">,
  { uuid }: z.infer<typeof SessionRef>,
): Promise<Environment> {
  const unknown = new Problem("notFound", `Session ${uuid.slice(0, 64)} not found`);
  if (!/^[0-9a-f]{8}$/.test(uuid)) throw unknown;
  const session = await getEnvironment(ctx, uuid);
  if (isLeaving(session)) throw unknown;
  return session;
}

/** Reports whether the session was deleted: it is gone for all callers from that answer on. */
export function isLeaving({ end: { outcome }, phase }: Pick<Brief, "end" | "phase">): boolean {
  return outcome !== null || phase === "deleted";
}

/** The host label is permanent. */
export function formatHostLabel(uuid: string): string {
  return `vs-code-${uuid}`;
}

type PageSettings = Pick<Settings, "scheme" | "domain" | "userAccess">;

export function toWorkspace(
  { scheme, domain, userAccess = "gateway" }: PageSettings,
  uuid: string,
): { readonly workspace_url: string | null; readonly warning?: string } {
  if (userAccess === "gateway") return { workspace_url: `${scheme}://${formatHostLabel(uuid)}.${domain}` };
  return { workspace_url: null, warning: formatNoPages("The workspace", userAccess) };
}

/** docs/apis/session-manager.md#effects-and-times. */
export const resources = {
  up: { cpus: 2, memoryMb: 2048 },
  down: { cpus: 1, memoryMb: 1024 },
} as const satisfies Record<string, Resources>;

function toSessionState(
  settings: PageSettings,
  session: Environment,
  { waiting, now }: { readonly waiting: number; readonly now: number },
): z.infer<typeof SessionState> {
  const { uuid, ...shown } = toSessionSummary(settings, session);
  return {
    uuid,
    replicas: replicas[session.phase](session),
    queue_length: waiting,
    session: shown,
    timestamp: wholeSeconds(now),
  };
}

export function toSessionSummary(settings: PageSettings, session: Environment): z.infer<typeof SessionSummary> {
  return {
    uuid: session.id,
    user_id: session.labels.user_id ?? "",
    ...toWorkspace(settings, session.id),
    status: statuses[session.phase](session),
    created_at: wholeSeconds(session.createdAt),
    last_activity: wholeSeconds(getLastActivity(session)),
  };
}

const none = () => 0;

const countOne = () => 1;

/** Pods, whether ready or not. */
const replicas = {
  queued: none,
  preparing: countOne,
  active: countOne,
  stopping: ({ run: { grant } }) => (grant ? 1 : 0),
  stopped: none,
  completed: none,
  expired: none,
  cancelled: none,
  failed: none,
  deleted: none,
} as const satisfies Record<Phase, (session: Environment) => number>;

const asleep = ({ goal: { desired }, run: { error: broken } }: Environment): Status => {
  if (desired === "active") return "waking";
  return broken === null ? "sleeping" : "failed";
};

const failed = (): Status => "failed";

const statuses = {
  queued: (): Status => "created",
  preparing: ({ starts }): Status => (starts > 0 ? "waking" : "created"),
  active: (): Status => "running",
  stopping: asleep,
  stopped: asleep,
  completed: failed,
  expired: failed,
  cancelled: failed,
  failed,
  deleted: failed,
} as const satisfies Record<Phase, (session: Environment) => Status>;

function getLastActivity({
  createdAt,
  queuedAt,
  use: { lastUsedAt },
  requests: { list: actions },
}: Environment): number {
  return Math.max(createdAt, queuedAt, lastUsedAt ?? 0, ...actions.map(({ requestedAt }) => requestedAt));
}

export const exampleState = {
  uuid: "abc12345",
  replicas: 1,
  queue_length: 0,
  session: {
    user_id: "user@example.com",
    workspace_url: "https://vs-code-abc12345.berth.example",
    status: "running",
    created_at: "2026-01-20T18:00:00Z",
    last_activity: "2026-01-20T18:05:00Z",
  },
  timestamp: "2026-01-20T18:06:00Z",
};

export async function readSession(
  ctx: UserContext<"table">,
  params: z.infer<typeof SessionRef>,
): Promise<z.infer<typeof SessionState>> {
  const session = await getSession(ctx, params);
  return toSessionState(ctx.settings, session, { waiting: await countWaiting(ctx, session), now: ctx.clock.now() });
}
