import type * as z from "zod";
import { formatSshCommand } from "#core/environments/access/ssh-command.ts";
import { jupyterUrl, LOST_TOKEN, type OpenJupyter, secondaryGuests } from "#core/environments/record/changes/access.ts";
import { hiddenMs } from "#core/environments/record/changes/extensions.ts";
import type { Environment, Size } from "#core/environments/record/record.ts";
import type { WaitAdvice } from "#core/pools/forecast/advice.ts";
import type { Settings } from "#core/settings.ts";
import { HOUR_MS, MINUTE_MS } from "#core/units.ts";
import { wholeSeconds } from "#http/answers/timestamp.ts";
import type { JobSummary } from "../schemas.ts";
import { statusReason, toStatus } from "./status.ts";
import { joinWarnings } from "./warning.ts";

export interface Beside {
  readonly username: string;
  readonly advice: WaitAdvice | undefined;
  readonly jupyter?: OpenJupyter | undefined;
  readonly outage?: number | undefined;
  readonly now: number;
  readonly settings: Pick<Settings, "maxQueueHours" | "nodeGroups" | "userAccess" | "sshGateway" | "sshHostKeys">;
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
    // A job that returns to the queue still has its former end in the record.
    expires_at: endsAt === null || status === "queued" ? null : wholeSeconds(endsAt - hidden),
    name: environment.name,
    pod_name: formatPodName(id),
    node_ip: address?.ip ?? null,
    node_port: address?.port ?? null,
    ssh_command: status === "active" ? formatSshCommand(environment, settings) : null,
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
    ssh_host_key: (settings.sshGateway && address ? settings.sshHostKeys[0] : address?.hostKey) ?? null,
    launched_at: firstActiveAt === null ? null : wholeSeconds(firstActiveAt),
    jupyter_port: jupyter?.origin ? getPort(jupyter.origin) : null,
    jupyter_error: status === "active" ? (access.jupyterFault ?? null) : null,
    current_detailed_status: reason,
    warning: status === "active" ? joinWarnings(environment, { now, outage, settings }) : null,
    ...whatItWas(environment, now),
    ...(startsAt && { estimated_wait_minutes: Math.max(0, Math.ceil((startsAt - now) / MINUTE_MS)) }),
  };
}

/** Returns a label, not an address: clients choose ids, so two jobs may share it. */
export function formatPodName(jobId: string): string {
  return `gpu-dev-${jobId.slice(0, 8)}`;
}

function whatItWas(environment: Environment, now: number) {
  const {
    about,
    end: { outcome },
    size,
    policy,
    starts,
  } = environment;
  return {
    image: about?.image || null,
    env_names: [...(about?.envNames ?? [])],
    exit_code: outcome?.exitCode ?? null,
    ended_at: outcome ? wholeSeconds(outcome.at) : null,
    gpu_hours: gpuHours(size, activeMs(environment, now)),
    on_interruption: policy.onInterruption ?? ("fail" as const),
    requeue_count: starts,
    grace_seconds: policy.ownGraceSeconds ?? null,
    min_duration_hours: policy.leastMs === undefined ? null : policy.leastMs / HOUR_MS,
  };
}

function activeMs(
  { end: { outcome, stoppingAt }, phase, run: { startedAt }, times }: Environment,
  now: number,
): number {
  const { earlierMs = 0 } = times;
  if (startedAt === null) return earlierMs;
  const stoppedAt = phase === "stopping" ? (stoppingAt ?? now) : now;
  const until = Math.min(outcome?.at ?? now, stoppedAt);
  return earlierMs + Math.max(0, until - startedAt);
}

/** Rounds to three decimals. */
export function gpuHours({ gpus }: Pick<Size, "gpus">, ms: number): number {
  return Math.round((gpus * ms * 1000) / HOUR_MS) / 1000;
}

/** Returns the port for clients that show it separately, even if the URL omits the default port. */
function getPort(origin: string): number {
  const { port, protocol } = new URL(origin);
  return Number(port) || (protocol === "https:" ? 443 : 80);
}
