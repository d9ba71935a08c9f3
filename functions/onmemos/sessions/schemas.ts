import * as z from "zod";
import type { UserContext } from "#core/context.ts";
import { labelEnvironment } from "#core/environments/record/changes/change.ts";
import type { Phase } from "#core/environments/record/phases.ts";
import { type Brief, findEnvironment, listEnvironments } from "#core/environments/record/read.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { Problem } from "#core/problem.ts";
import type { Settings } from "#core/settings.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { formatNoPages } from "../../shared/internal/no-pages.ts";

/** Counted from the create and never extended. */
export const MOST_TTL_MINUTES = 1_440;

const SessionStatus = z.enum(["creating", "running", "terminating", "failed"]);
type Status = z.infer<typeof SessionStatus>;

export const SessionRef = z.object({
  session_id: z.string().meta({ example: "ws-my-project-developer-1756062811" }).describe("The session's id."),
});

export const Connection = z
  .object({
    url: z
      .string()
      .nullable()
      .describe("The address of the session's services; null if the deployment serves no pages."),
    warning: z.string().optional().describe("Why no address leads to the session; left out if one does."),
    websocket: z.string().describe("The path of the web shell."),
    ssh: z.boolean().describe("Whether the provider offers SSH."),
  })
  .meta({ id: "SessionConnection" });

export const Session = z
  .object({
    id: z.string().describe("The session's id, made of namespace, user and the second of its creation."),
    provider: z.string().describe("`cloud_run`, `gke` or `workstations`: as requested, or as `auto` chose."),
    namespace: z.string().describe("A label of your choice, kept in lower case. It is not an identity."),
    user: z.string().describe("A label of your choice, kept in lower case. It is not an identity."),
    status: SessionStatus.describe("The current state."),
    ...Connection.shape,
    details: z
      .object({
        service_name: z.string().describe("`onmemos-` and the id."),
        bucket_name: z.string().describe("A name made of namespace, user and the number of the id."),
      })
      .describe("Names that existing clients read."),
    template: z.string().describe("The software of the session."),
    created_at: Timestamp.describe("When it was created."),
    expires_at: Timestamp.nullable().describe("When its time is over."),
    ttl_minutes: z.int().describe("Lifetime in minutes, counted from the creation."),
  })
  .meta({ id: "Session" });

/** Matches exactly, in the stored lower case. */
export const ListQuery = z
  .object({
    namespace: z.string().toLowerCase().describe("Only those with this label."),
    user: z.string().toLowerCase().describe("Only those with this label."),
  })
  .partial();

export type Called = "Session" | "Workspace";

/** `ws-`, two names of at most 40 characters and a number: the form of every id. */
const form = /^ws-[a-z0-9_-]{3,81}-\d{1,15}$/;

export function isSessionId(text: string): boolean {
  return form.test(text);
}

export async function getSession(ctx: UserContext<"table">, id: string, called: Called): Promise<Environment> {
  const session = isSessionId(id) ? await findEnvironment(ctx, id) : undefined;
  if (!session || isGone(session, ctx.clock.now())) throw notFound(called);
  return session;
}

export function notFound(called: Called, cause?: unknown): Problem {
  return new Problem("notFound", `${called} not found`, { cause });
}

/** Marks a session that had failed when it was deleted. The record stays for a while. */
const deletedLabel = "deleted";

/** Reports whether the session was deleted or its time is over, even if no sweep has noticed. */
function isGone({ phase, end: { outcome }, times: { endsAt }, labels }: Environment, now: number): boolean {
  if (phase === "deleted" || labels[deletedLabel] !== undefined) return true;
  return outcome?.phase === "expired" || (endsAt !== null && now >= endsAt);
}

/** Approximates `isGone` for a brief. No session gets more time than this. */
function isLongGone({ end: { outcome }, createdAt }: Brief, now: number): boolean {
  return outcome?.phase === "expired" || now >= createdAt + MOST_TTL_MINUTES * 60_000;
}

export function bucketName(namespace: string, user: string, number: string): string {
  return `onmemos-${namespace}-${user}-${number}`;
}

export function serviceName(id: string): string {
  return `onmemos-${id}`;
}

type PageSettings = Pick<Settings, "scheme" | "domain" | "userAccess">;

export function toSession(settings: PageSettings, session: Environment): z.infer<typeof Session> {
  const {
    id,
    labels,
    createdAt,
    times: { endsAt },
  } = session;
  const { provider = "", namespace = "", user = "", template = "", ttl_minutes } = labels;
  return {
    id,
    provider,
    namespace,
    user,
    status: toStatus(session),
    ...toConnection(settings, session),
    details: {
      service_name: serviceName(id),
      bucket_name: bucketName(namespace, user, id.slice(id.lastIndexOf("-") + 1)),
    },
    template,
    created_at: wholeSeconds(createdAt),
    expires_at: endsAt === null ? null : wholeSeconds(endsAt),
    ttl_minutes: Number(ttl_minutes ?? 0),
  };
}

export function toConnection(
  { scheme, domain, userAccess = "gateway" }: PageSettings,
  { id, addressLabel, labels }: Environment,
): z.infer<typeof Connection> {
  const isServed = userAccess === "gateway";
  return {
    url: isServed ? `${scheme}://${addressLabel ?? serviceName(id)}.${domain}` : null,
    ...(!isServed && { warning: formatNoPages("The session's page", userAccess) }),
    websocket: `/v1/cloudrun/workspaces/${id}/shell`,
    ssh: labels.provider === "workstations",
  };
}

/** Shows `terminating` from the moment the end is decided. */
export function toStatus({ phase, end: { outcome } }: Environment): Status {
  const status = statuses[phase];
  return outcome !== null && (status === "creating" || status === "running") ? "terminating" : status;
}

const statuses = {
  queued: "creating",
  preparing: "creating",
  active: "running",
  stopping: "terminating",
  stopped: "failed",
  completed: "failed",
  expired: "terminating",
  cancelled: "failed",
  failed: "failed",
  deleted: "terminating",
} as const satisfies Record<Phase, Status>;

export const exampleSession = {
  id: "ws-my-project-developer-1756062811",
  provider: "cloud_run",
  namespace: "my-project",
  user: "developer",
  status: "running",
  url: "https://onmemos-ws-my-project-developer-1756062811.berth.example",
  websocket: "/v1/cloudrun/workspaces/ws-my-project-developer-1756062811/shell",
  ssh: false,
  details: {
    service_name: "onmemos-ws-my-project-developer-1756062811",
    bucket_name: "onmemos-my-project-developer-1756062811",
  },
  template: "python",
  created_at: "2025-08-24T19:13:31Z",
  expires_at: "2025-08-24T20:13:31Z",
  ttl_minutes: 60,
};

export async function deleteSession(ctx: UserContext<"table" | "queue">, id: string, called: Called): Promise<void> {
  const session = await getSession(ctx, id, called);
  if (session.end.outcome?.phase === "deleted") throw notFound(called);
  const {
    end: { outcome },
  } = await requestDelete(ctx, id);
  if (outcome?.phase !== "deleted") await labelEnvironment(ctx, id, { [deletedLabel]: "true" });
}

export async function listSessions(
  ctx: UserContext<"table">,
  wanted: z.output<typeof ListQuery>,
): Promise<Environment[]> {
  const now = ctx.clock.now();
  const { shown } = await listEnvironments(ctx, { matches: (session) => !isLongGone(session, now) });
  return shown.filter((session) => {
    const { namespace, user } = session.labels;
    const isAsked = (wanted.namespace ?? namespace) === namespace && (wanted.user ?? user) === user;
    return isAsked && !isGone(session, now);
  });
}
