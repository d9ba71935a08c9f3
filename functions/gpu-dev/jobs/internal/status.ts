import { letsSomebodyIn, retriedGuests } from "#core/environments/record/changes/access.ts";
import type { End } from "#core/environments/record/end.ts";
import type { Phase } from "#core/environments/record/phases.ts";
import { type Environment, isEnded } from "#core/environments/record/record.ts";
import type { WaitAdvice } from "#core/pools/forecast/advice.ts";
import type { Settings } from "#core/settings.ts";
import { waitReason } from "#http/answers/wait-reason.ts";

export const jobStatuses = ["queued", "preparing", "active", "completed", "expired", "cancelled", "failed"] as const;

type JobStatus = (typeof jobStatuses)[number];

const statuses = {
  queued: "queued",
  preparing: "preparing",
  active: "active",
  // Without an outcome, an interrupted job returns to the queue.
  stopping: "queued",
  stopped: "failed",
  completed: "completed",
  expired: "expired",
  cancelled: "cancelled",
  failed: "failed",
  deleted: "cancelled",
} as const satisfies Record<Phase, JobStatus>;

/** Returns the final word once the end is decided (docs/apis/common.md#phases-and-words). */
export function toStatus({ end, phase }: At): JobStatus {
  return statuses[end.outcome ? end.outcome.phase : phase];
}

type At = Pick<Environment, "phase"> & { readonly end: Pick<End, "outcome"> };

function isUnbound({ step }: Pick<Environment, "step">): boolean {
  return step === null || step === "disk" || step === "pod";
}

interface Waiting {
  readonly advice: WaitAdvice | undefined;
  readonly now: number;
  readonly settings: Pick<Settings, "maxQueueHours" | "nodeGroups">;
}

export function statusReason(environment: Environment, { advice, now, settings }: Waiting): string | null {
  const {
    end: { outcome },
    phase,
    step,
    attempts,
  } = environment;
  if (outcome) return [outcome.reason, endWaitsFor(environment, outcome.at, now)].filter(Boolean).join("; ") || null;
  if (attempts > 0) return `The cluster does not answer as it should; trying again (attempt ${attempts + 1})`;
  if (phase === "preparing") {
    if (step === "disk" && environment.reason) return environment.reason;
    const doing = isUnbound(environment) ? `Capacity granted, preparing ${step ?? "pod"}` : `Preparing ${step}`;
    return environment.reason ? `${doing}: ${environment.reason}` : doing;
  }
  if (phase === "stopping") return whyItReturns(environment, now);
  if (phase !== "queued") return environment.reason ?? accessProblem(environment);
  if (environment.waitPool === undefined && environment.reason) return environment.reason;
  return waitReason(environment, advice, settings);
}

/** Returns why an interrupted job returns to the queue, and what that waits for. */
function whyItReturns(environment: Environment, now: number): string {
  const { reason, end } = environment;
  const waitsFor = endWaitsFor(environment, end.stoppingAt ?? now, now);
  return [reason, "it returns to the queue", waitsFor].filter(Boolean).join("; ");
}

/** Returns why a user or a key that the job wants is not admitted. */
function accessProblem(environment: Environment): string | null {
  const { access, run } = environment;
  const guestProblem = letsSomebodyIn(access, run.n) ? null : (access.guestFault?.reason ?? null);
  return sshProblem(environment) ?? retryReason(retriedGuests(access)) ?? guestProblem;
}

function sshProblem({ phase, run, access }: Environment): string | null {
  return phase === "active" && letsSomebodyIn(access, run.n) ? (run.address?.problem ?? null) : null;
}

/** Compute and disk are usually released sooner. */
const LONG_END_MS = 60_000;

function endWaitsFor(environment: Environment, since: number, now: number): string | null {
  const {
    attempts,
    end: { waitsFor },
  } = environment;
  if (isEnded(environment) || now - since < LONG_END_MS) return null;
  if (attempts > 0) return `a step of its end fails; trying again (attempt ${attempts + 1})`;
  return waitsFor && `${waitsFor.slice(0, 1).toLowerCase()}${waitsFor.slice(1)}`;
}

/** Returns why the keys of these GitHub users are still missing. Null if there are no such users. */
export function retryReason(users: readonly string[]): string | null {
  return users.length === 0 ? null : `GitHub does not answer; asking again for the SSH keys of ${users.join(", ")}`;
}
