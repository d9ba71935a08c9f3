import * as z from "zod";
import {
  jupyterUrl,
  LOST_TOKEN,
  letsSomebodyIn,
  type OpenJupyter,
  secondaryGuests,
} from "#core/environments/record/access.ts";
import type { Action } from "#core/environments/record/actions.ts";
import { hiddenMs } from "#core/environments/record/extensions.ts";
import type { Environment, Size } from "#core/environments/record/record.ts";
import type { TimelineEntry } from "#core/environments/record/timeline.ts";
import type { ChosenIds } from "#core/idempotency.ts";
import type { WaitAdvice } from "#core/pools/advice.ts";
import type { Settings } from "#core/settings.ts";
import { Timestamp, wholeSeconds } from "#http/timestamp.ts";
import { actionWords, JobAction, type JobActionKind, toJobAction } from "./parts/action.ts";
import { jobStatuses, statusOf, statusReason } from "./parts/status.ts";
import { joinWarnings } from "./parts/warning.ts";

const Status = z.enum(jobStatuses);

export const JobRef = z.object({ job_id: z.string().meta({ example: "9e41c7d3-5b00-4c1a-8000-0123456789ab" }) });

/** A job as lists show it: the documented keys, then ours. */
export const JobSummary = z.object({
  job_id: z.string(),
  reservation_id: z.string(),
  user_id: z.string(),
  status: Status,
  gpu_type: z.string(),
  gpu_count: z.int(),
  instance_type: z.string(),
  duration_hours: z.number(),
  created_at: Timestamp,
  expires_at: Timestamp.nullable(),
  name: z.string(),
  pod_name: z.string(),
  node_ip: z.string().nullable(),
  node_port: z.int().nullable(),
  ssh_command: z.string().nullable(),
  jupyter_enabled: z.boolean(),
  jupyter_url: z.string().nullable(),
  jupyter_token: z.string().nullable(),
  github_user: z.string().nullable(),
  status_reason: z.string().nullable(),
  queue_position: z.int().nullable(),
  estimated_start_time: Timestamp.nullable(),
  estimated_start_latest: Timestamp.nullable(),
  disk_name: z.string().nullable(),
  isolation: z.string().nullable(),
  limits: z.string().nullable(),
  secondary_users: z.array(z.string()),
  ssh_host_key: z.string().nullable(),
  launched_at: Timestamp.nullable(),
  jupyter_port: z.int().nullable(),
  jupyter_error: z.string().nullable(),
  current_detailed_status: z.string().nullable(),
  warning: z.string().nullable(),
  image: z.string().nullable(),
  env_names: z.array(z.string()),
  exit_code: z.int().nullable(),
  ended_at: Timestamp.nullable(),
  gpu_hours: z.number(),
  /** Left out where there is no estimate: the predecessor's client would print a null as "None min". */
  estimated_wait_minutes: z.int().optional(),
});

/** Fields that change while nothing happens to a job: its ETag leaves them out. */
export const ownPace = ["estimated_wait_minutes", "gpu_hours"] as const;

export const Job = JobSummary.extend({
  command: z.string().nullable(),
  actions: z.array(JobAction),
  timeline: z.array(z.object({ at: Timestamp, status: Status, reason: z.string().nullable() })),
});

export const EstimatedTimes = z.object({
  estimated_start_time: Timestamp.nullable(),
  estimated_start_latest: Timestamp.nullable(),
});
export const Estimated = EstimatedTimes.extend({
  queue_position: z.int().nullable(),
  reason: z.string(),
  alternatives: z.array(z.object({ gpu_count: z.int() }).extend(EstimatedTimes.shape)),
  gpu_hours: z.number(),
  ignored: z.array(z.string()).optional(),
});

export const Logs = z.object({
  job_id: z.string(),
  logs: z.string(),
  truncated: z.boolean(),
  next: z.string(),
  ended: z.boolean(),
  ignored: z.array(z.string()).optional(),
});

export const ActionRequested = z.object({
  job_id: z.string(),
  action: z.enum(actionWords),
  status: z.literal("requested"),
  message: z.string(),
});

/** A label, not an address: clients choose ids, so that two jobs may have the same. */
export function podNameOf(jobId: string): string {
  return `gpu-dev-${jobId.slice(0, 8)}`;
}

/**
 * The user name by which SSH finds a job. Its end is the server's choice: who could take another's whole name, and let the
 * other's public key in, would be where the other arrives.
 */
export function loginOf({ id, uid }: ChosenIds): string {
  return `${podNameOf(id)}-${uid.slice(0, 8)}`;
}

/** How much of a command its owner is shown. */
const SHOWN_COMMAND = 200;

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** What a job is shown with that its record does not say. */
interface Beside {
  readonly username: string;
  readonly advice: WaitAdvice | undefined;
  readonly jupyter?: OpenJupyter | undefined;
  /** Since when the cluster does not answer, ms; undefined: it does. */
  readonly outage?: number | undefined;
  readonly now: number;
  readonly settings: Pick<Settings, "maxQueueHours" | "nodeGroups">;
}

/** A job as its owner alone is shown it. */
export function toJob(environment: Environment, command: string | undefined, beside: Beside): z.infer<typeof Job> {
  return {
    ...toJobSummary(environment, beside),
    command: command === undefined ? null : [...command].slice(0, SHOWN_COMMAND).join(""),
    actions: environment.requests.list.flatMap((action) => toJobAction(action, environment)),
    timeline: environment.events.timeline.map((entry) => toTimelineEntry(entry, environment)),
  };
}

export function toJobSummary(
  environment: Environment,
  { username, advice, jupyter, outage, now, settings }: Beside,
): z.infer<typeof JobSummary> {
  const {
    id,
    size,
    labels,
    times: { endsAt, firstActiveAt },
    access,
  } = environment;
  const status = statusOf(environment);
  const address = status === "active" ? environment.run.address : null;
  const { place, start } = (status === "queued" && environment.phase === "queued" && advice) || {};
  const hidden = hiddenMs(environment);
  const startsAt = start ? start.p50 : place?.startsAt;
  const reason = statusReason(environment, { advice, now, settings }) ?? (jupyter?.token === null ? LOST_TOKEN : null);
  return {
    job_id: id,
    reservation_id: id,
    user_id: username,
    status,
    gpu_type: size.pool,
    gpu_count: size.gpus,
    instance_type: size.instanceType,
    duration_hours: (size.wantedMs - hidden) / HOUR_MS,
    created_at: wholeSeconds(environment.createdAt),
    expires_at: endsAt === null ? null : wholeSeconds(endsAt - hidden),
    name: environment.name,
    pod_name: podNameOf(id),
    node_ip: address?.ip ?? null,
    node_port: address?.port ?? null,
    ssh_command:
      address?.port && letsSomebodyIn(access, environment.run.n)
        ? `ssh -p ${address.port} ${access.login}@${address.ip}`
        : null,
    jupyter_enabled: status === "active" && Boolean(access.jupyter?.origin),
    jupyter_url: jupyter ? jupyterUrl(jupyter) : null,
    jupyter_token: jupyter?.token ?? null,
    github_user: labels.github_user ?? null,
    status_reason: reason,
    queue_position: place?.position ?? null,
    estimated_start_time: startsAt ? wholeSeconds(startsAt) : null,
    estimated_start_latest: start?.p90 ? wholeSeconds(start.p90) : null,
    disk_name: environment.disk?.name ?? null,
    isolation: environment.run.isolation,
    limits: environment.run.limits,
    secondary_users: secondaryGuests(access),
    ssh_host_key: address?.hostKey ?? null,
    launched_at: firstActiveAt === null ? null : wholeSeconds(firstActiveAt),
    jupyter_port: jupyter ? portOf(jupyter.origin) : null,
    jupyter_error: status === "active" ? (access.jupyterFault ?? null) : null,
    current_detailed_status: reason,
    warning: status === "active" ? joinWarnings(environment, { now, outage }) : null,
    ...whatItWas(environment, now),
    ...(startsAt && { estimated_wait_minutes: Math.max(0, Math.ceil((startsAt - now) / MINUTE_MS)) }),
  };
}

function whatItWas({ about, end: { outcome }, size, times: { firstActiveAt } }: Environment, now: number) {
  const activeMs = firstActiveAt === null ? 0 : Math.max(0, (outcome?.at ?? now) - firstActiveAt);
  return {
    image: about?.image || null,
    env_names: [...(about?.envNames ?? [])],
    exit_code: outcome?.exitCode ?? null,
    ended_at: outcome ? wholeSeconds(outcome.at) : null,
    gpu_hours: gpuHours(size, activeMs),
  };
}

/** Returns the GPU-hours of so much time, with three decimals. */
export function gpuHours({ gpus }: Pick<Size, "gpus">, ms: number): number {
  return Math.round((gpus * ms * 1000) / HOUR_MS) / 1000;
}

function toTimelineEntry(entry: TimelineEntry, environment: Environment): z.infer<typeof Job>["timeline"][number] {
  const outcome = entry.phase === "stopping" ? environment.end.outcome : null;
  return { at: wholeSeconds(entry.at), status: statusOf({ ...entry, end: { outcome } }), reason: entry.reason };
}

/** Clients show the port beside the address, so that it is there where the address leaves out its scheme's own. */
function portOf(origin: string): number {
  const { port, protocol } = new URL(origin);
  return Number(port) || (protocol === "https:" ? 443 : 80);
}

interface About {
  readonly hours: number | undefined;
  readonly user: string | undefined;
}

const requested = {
  cancel: () => "Cancellation request submitted",
  extend: ({ hours }: About) => `Extension request submitted for ${hours} hours`,
  enable_jupyter: () => "Jupyter enable request submitted",
  disable_jupyter: () => "Jupyter disable request submitted",
  add_user: ({ user }: About) => `Add user request submitted for ${wordsOf(user ?? "")}`,
} as const satisfies Record<JobActionKind, (about: About) => string>;

/** Describes a guest. The core names a key by a text that no GitHub user can have. */
function wordsOf(user: string): string {
  return user.includes(":") ? "a public key" : `GitHub user '${user}'`;
}

/** The answer to every request on a job: the number of the request is its "message ID". */
export function toActionRequested(jobId: string, action: Action, hours?: number): z.infer<typeof ActionRequested> {
  const kind = action.kind as JobActionKind;
  const message = `${requested[kind]({ hours, user: action.subject })} (message ID: ${action.id})`;
  return { job_id: jobId, action: kind, status: "requested", message };
}
