import * as z from "zod";
import {
  jupyterUrl,
  LOST_TOKEN,
  letsSomebodyIn,
  type OpenJupyter,
  secondaryGuests,
} from "#core/environments/record/changes/access.ts";
import type { Action } from "#core/environments/record/changes/actions.ts";
import { hiddenMs } from "#core/environments/record/changes/extensions.ts";
import type { Environment, Size } from "#core/environments/record/record.ts";
import type { TimelineEntry } from "#core/environments/record/timeline.ts";
import type { WaitAdvice } from "#core/pools/forecast/advice.ts";
import type { Settings } from "#core/settings.ts";
import type { ChosenIds } from "#core/store/idempotency.ts";
import { HOUR_MS, MINUTE_MS } from "#core/units.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { actionNames, JobAction, type JobActionKind, toJobAction } from "./internal/action.ts";
import { jobStatuses, statusReason, toStatus } from "./internal/status.ts";
import { joinWarnings } from "./internal/warning.ts";

const Status = z.enum(jobStatuses).meta({ id: "JobStatus" });

export const JobRef = z.object({
  job_id: z
    .string()
    .meta({ example: "9e41c7d3-5b00-4c1a-8000-0123456789ab" })
    .describe(
      "The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them.",
    ),
});

export const JobSummary = z
  .object({
    job_id: z
      .string()
      .describe(
        "The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them.",
      ),
    reservation_id: z.string().describe("Same as `job_id`, for existing clients."),
    user_id: z.string().describe("The owner's user name."),
    status: Status.describe("The job's current state."),
    gpu_type: z
      .string()
      .describe("The type of GPU, for example `h100`. A submit may leave it out; it must match the instance type."),
    gpu_count: z
      .int()
      .describe("Number of GPUs. Without it a submit asks for all GPUs of the machine; 16 means two machines of 8."),
    instance_type: z.string().describe("The machine, by its AWS name."),
    duration_hours: z.number().describe("Duration in hours. A shown job's duration includes its extensions."),
    created_at: Timestamp.describe("When it was created."),
    expires_at: Timestamp.nullable().describe("When the job's time is over; null until it is active."),
    name: z.string().describe("The job's name, for people."),
    pod_name: z.string().describe("The pod's name, for people."),
    node_ip: z.string().nullable().describe("The address of SSH; null unless the job is active."),
    node_port: z.int().nullable().describe("The port of SSH; null unless the job is active."),
    ssh_command: z
      .string()
      .nullable()
      .describe("A command that connects to the job; null unless the job is active and some key would get in."),
    jupyter_enabled: z
      .boolean()
      .describe("Whether Jupyter answers; in a submit, whether to start it. `actions` shows later requests."),
    jupyter_url: z.string().nullable().describe("The address of Jupyter; null until it answers."),
    jupyter_token: z.string().nullable().describe("The token that opens Jupyter; null until it answers."),
    github_user: z.string().nullable().describe("The GitHub user whose SSH keys open the job once it is active."),
    status_reason: z.string().nullable().describe("Why the job waits or how it ended, in words."),
    queue_position: z.int().nullable().describe("Place in the queue, 1 is first; null unless the job is queued."),
    estimated_start_time: Timestamp.nullable().describe(
      "Estimated start: half of such jobs start no later. Null if there is no estimate.",
    ),
    estimated_start_latest: Timestamp.nullable().describe(
      "Late estimate of the start: nine of ten such jobs start no later. Null if there is no estimate.",
    ),
    disk_name: z
      .string()
      .nullable()
      .describe("The named disk, mounted at `$WORKSPACE`. A submit creates the disk if there is none of this name."),
    isolation: z.string().nullable().describe("How the job is isolated from the machine, on a local stack."),
    limits: z.string().nullable().describe("How the job's memory and processors are limited, on a local stack."),
    secondary_users: z
      .array(z.string())
      .describe("The GitHub users that were added to the job and whose SSH keys get in."),
    ssh_host_key: z
      .string()
      .nullable()
      .describe(
        "The public key by which the job's SSH server is known, for `known_hosts`; null unless the job is active.",
      ),
    launched_at: Timestamp.nullable().describe("When the job became active; null until then."),
    jupyter_port: z.int().nullable().describe("The port of `jupyter_url`; null until Jupyter answers."),
    jupyter_error: z
      .string()
      .nullable()
      .describe("Why there is no Jupyter on an active job that was to have one; null otherwise."),
    current_detailed_status: z.string().nullable().describe("Same as `status_reason`, for existing clients."),
    warning: z
      .string()
      .nullable()
      .describe(
        "Problems of an active job: that it expires soon, or why requests failed or are retried, the newest first. Null if there is none.",
      ),
    image: z
      .string()
      .nullable()
      .describe("The image that the submit named. Null for a job from before this was noted."),
    env_names: z
      .array(z.string())
      .describe("Names of the job's `env_vars`, the first 4,096 characters of them. No value is ever shown."),
    exit_code: z
      .int()
      .nullable()
      .describe(
        "The exit code of the command that ended the job. Null until then, and if the job ended in another way.",
      ),
    ended_at: Timestamp.nullable().describe("When the job ended. Null until its end is decided."),
    gpu_hours: z.number().describe("GPUs times the hours since the job became active, up to its end."),
    /** Omitted without an estimate: the predecessor's client would print a null as "None min". */
    estimated_wait_minutes: z
      .int()
      .optional()
      .describe("Whole minutes until `estimated_start_time`; omitted if there is no estimate."),
  })
  .meta({ id: "JobSummary" });

/** Fields that change by themselves, which the ETag leaves out. */
export const ownPace = ["estimated_wait_minutes", "gpu_hours"] as const;

export const Job = JobSummary.extend({
  command: z
    .string()
    .nullable()
    .describe(
      "The first 200 characters of the command. Only the owner sees them, in this answer alone. Null without a command, and once the job has ended.",
    ),
  actions: z.array(JobAction).describe("The 20 newest requests on the job, oldest first."),
  timeline: z
    .array(
      z
        .object({
          at: Timestamp.describe("When the state changed."),
          status: Status.describe("The job's state from then on."),
          reason: z.string().nullable().describe("Why the state changed; null without a reason."),
        })
        .meta({ id: "JobTimelineEntry" }),
    )
    .describe("The 40 newest changes of state, oldest first."),
}).meta({ id: "Job" });

export const EstimatedTimes = z.object({
  estimated_start_time: Timestamp.nullable().describe(
    "Estimated start: half of such jobs start no later. Null if there is no estimate.",
  ),
  estimated_start_latest: Timestamp.nullable().describe(
    "Late estimate of the start: nine of ten such jobs start no later. Null if there is no estimate.",
  ),
});
export const Estimated = EstimatedTimes.extend({
  queue_position: z.int().nullable().describe("Place in the queue, 1 is first; null unless the job is queued."),
  reason: z.string().describe("`Would start now`, or why the job would wait."),
  alternatives: z
    .array(
      z
        .object({
          gpu_count: z
            .int()
            .describe(
              "Number of GPUs. Without it a submit asks for all GPUs of the machine; 16 means two machines of 8.",
            ),
        })
        .extend(EstimatedTimes.shape)
        .meta({ id: "JobAlternative" }),
    )
    .describe("Smaller GPU counts that would start earlier, soonest first."),
  gpu_hours: z.number().describe("GPUs times the hours that the job asks for: what it uses if it runs to its end."),
  ignored: z
    .array(z.string())
    .optional()
    .describe("Unknown fields and parameters of the request. Omitted if there are none."),
}).meta({ id: "JobEstimate" });

export const Logs = z
  .object({
    job_id: z
      .string()
      .describe(
        "The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them.",
      ),
    logs: z.string().describe("Standard output and error of the command, as one text."),
    truncated: z
      .boolean()
      .describe("Whether older output is missing: before these lines, or between `after` and this output."),
    next: z.string().describe("The position behind this output. Send it as `after` to go on from there."),
    ended: z
      .boolean()
      .describe("Whether nothing follows any more: the job has ended, and this was the end of its log."),
    ignored: z
      .array(z.string())
      .optional()
      .describe("Unknown fields and parameters of the request. Omitted if there are none."),
  })
  .meta({ id: "JobLogs" });

export const ActionRequested = z
  .object({
    job_id: z
      .string()
      .describe(
        "The job's id. In a path its first 4 or more characters are enough, while only one of your jobs begins with them.",
      ),
    action: z.enum(actionNames).describe("The requested action."),
    status: z.literal("requested").describe("The request is recorded; `actions` of the job shows its outcome."),
    message: z.string().describe("A confirmation with the number of the request."),
  })
  .meta({ id: "JobActionRequested" });

/** Returns a label, not an address: clients choose ids, so two jobs may share it. */
export function formatPodName(jobId: string): string {
  return `gpu-dev-${jobId.slice(0, 8)}`;
}

/**
 * Returns the SSH user name of a job. The server chooses the suffix, so a user cannot claim another user's SSH name.
 */
export function formatLogin({ id, uid }: ChosenIds): string {
  return `${formatPodName(id)}-${uid.slice(0, 8)}`;
}

const SHOWN_COMMAND = 200;

interface Beside {
  readonly username: string;
  readonly advice: WaitAdvice | undefined;
  readonly jupyter?: OpenJupyter | undefined;
  readonly outage?: number | undefined;
  readonly now: number;
  readonly settings: Pick<Settings, "maxQueueHours" | "nodeGroups">;
}

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
  const status = toStatus(environment);
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
    pod_name: formatPodName(id),
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
    jupyter_port: jupyter ? getPort(jupyter.origin) : null,
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

/** Rounds to three decimals. */
export function gpuHours({ gpus }: Pick<Size, "gpus">, ms: number): number {
  return Math.round((gpus * ms * 1000) / HOUR_MS) / 1000;
}

function toTimelineEntry(entry: TimelineEntry, environment: Environment): z.infer<typeof Job>["timeline"][number] {
  const outcome = entry.phase === "stopping" ? environment.end.outcome : null;
  return { at: wholeSeconds(entry.at), status: toStatus({ ...entry, end: { outcome } }), reason: entry.reason };
}

/** Returns the port for clients that show it separately, even if the URL omits the default port. */
function getPort(origin: string): number {
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
  add_user: ({ user }: About) => `Add user request submitted for ${formatWords(user ?? "")}`,
} as const satisfies Record<JobActionKind, (about: About) => string>;

function formatWords(user: string): string {
  return user.includes(":") ? "a public key" : `GitHub user '${user}'`;
}

export function toActionRequested(jobId: string, action: Action, hours?: number): z.infer<typeof ActionRequested> {
  const kind = action.kind as JobActionKind;
  const message = `${requested[kind]({ hours, user: action.subject })} (message ID: ${action.id})`;
  return { job_id: jobId, action: kind, status: "requested", message };
}
