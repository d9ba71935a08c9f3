import { earliestConfirmableAt } from "../../reconciler/pending-creates.ts";
import { ATTEMPT_MS } from "../../reconciler/snapshot-claim.ts";
import type { Settings } from "../../settings.ts";
import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import { mayHaveWritten } from "../record/disk/disk-use.ts";
import type { EndPhase, Phase } from "../record/phases.ts";
import type { Environment } from "../record/record.ts";
import { nextUseCheckAt } from "./auto-stop.ts";
import { nextGpuCheckAt } from "./gpu-idle.ts";

/** Limit of excluded unseen time, or a run would wait forever for a cluster that never answers. */
const MOST_UNSEEN_MS = 24 * HOUR_MS;
export const ALARM_MS = 15 * MINUTE_MS;

export interface Deadline {
  readonly at: number;
  /** The phase at the end; `alarm` only reports the obstacle, `attempt` ends one attempt of a backup. */
  readonly outcome: EndPhase | "alarm" | "attempt";
  readonly reason: string;
}

export type Limits = Pick<Settings, "maxQueueHours" | "preparingMinutes" | "idleGpuMinutes">;

type Limit = (environment: Environment, limits: Limits) => Deadline | undefined;

const limits = {
  queued: [ownEnd, readyBy, queueLimit],
  preparing: [ownEnd, limitBeforeRun, limitWithoutAnswer],
  active: [ownEnd],
  stopping: [alarm, attemptLimit],
  stopped: [],
  completed: [],
  expired: [],
  cancelled: [],
  failed: [],
  deleted: [],
} as const satisfies Record<Phase, readonly Limit[]>;

/**
 * Returns the earliest limit of the phase (docs/architecture/deadlines.md). `keepsPlace` exempts it from the queue
 * limit.
 */
export function findDeadline(environment: Environment, settings: Limits, keepsPlace = false): Deadline | undefined {
  const {
    phase,
    end: { outcome },
  } = environment;
  if (outcome && phase !== "stopping") return undefined;
  const phaseLimits: readonly Limit[] = limits[phase];
  return earliest(
    phaseLimits.filter((limit) => !(keepsPlace && limit === queueLimit)).map((limit) => limit(environment, settings)),
  );
}

/**
 * Returns when a run is given up as not ready. Once the cluster was asked, only an answered check decides this: the run
 * may have become ready in an outage. `since`: when it began to get ready, or null while its machine has not come, which
 * is no failure of the run.
 */
export function readyLimit(
  environment: Environment,
  settings: Limits,
  since: number | null = environment.run.machineAt ?? environment.run.preparingAt,
): Deadline | undefined {
  return earliest([readyBy(environment), preparingLimit(environment, settings, since)]);
}

function earliest(deadlines: readonly (Deadline | undefined)[]): Deadline | undefined {
  return deadlines
    .flatMap((deadline) => deadline ?? [])
    .reduce<Deadline | undefined>(
      (first, deadline) => (first && first.at <= deadline.at ? first : deadline),
      undefined,
    );
}

export function latestCheckAt(environment: Environment, settings: Limits, now: number): number {
  const {
    phase,
    run: { leftoversAt },
    making,
  } = environment;
  const moments = [findDeadline(environment, settings)?.at, findDeadline(environment, settings, true)?.at];
  if (phase === "queued" || phase === "preparing" || phase === "active") moments.push(leftoversAt ?? undefined);
  if (phase === "preparing") moments.push(readyLimit(environment, settings)?.at);
  if (phase === "active") moments.push(nextUseCheckAt(environment), nextGpuCheckAt(environment, settings));
  moments.push(earliestConfirmableAt(making));
  return Math.min(...moments.filter((at) => at !== undefined && at > now).map(Number));
}

function ownEnd({ times: { endsAt } }: Environment): Deadline | undefined {
  return endsAt === null ? undefined : { at: endsAt, outcome: "expired", reason: "Its time is over" };
}

function readyBy(environment: Environment): Deadline | undefined {
  const { queuedAt, policy } = environment;
  if (policy.readyWithinMs === null) return undefined;
  return notReady(environment, queuedAt, policy.readyWithinMs / MINUTE_MS, environment.unseen?.ms);
}

function queueLimit({ queuedAt, waitPool, reason: why }: Environment, { maxQueueHours }: Limits): Deadline {
  // Outside of the line, an environment waits for its disk, and `reason` says why.
  const waits = waitPool === undefined && why !== null ? `: ${why}` : "";
  const reason = `Waited in the queue for ${maxQueueHours} hours${waits}`;
  return { at: queuedAt + maxQueueHours * HOUR_MS, outcome: "cancelled", reason };
}

function preparingLimit(
  environment: Environment,
  { preparingMinutes }: Limits,
  since: number | null,
): Deadline | undefined {
  return since === null ? undefined : notReady(environment, since, preparingMinutes, environment.unseen?.runMs);
}

/** Applies before the first request to the cluster, when no part of the run can exist. */
function limitBeforeRun(environment: Environment, settings: Limits): Deadline | undefined {
  return environment.run.applyingAt === null ? readyLimit(environment, settings) : undefined;
}

function limitWithoutAnswer(environment: Environment, settings: Limits): Deadline | undefined {
  const { unseen, run } = environment;
  if (unseen?.since === undefined || run.applyingAt === null) return undefined;
  const forever = { ms: MOST_UNSEEN_MS, runMs: MOST_UNSEEN_MS };
  return readyLimit({ ...environment, unseen: forever }, settings);
}

function notReady(environment: Environment, since: number, minutes: number, unseenMs = 0): Deadline {
  const { phase, step, reason } = environment;
  const leftOutMs = Math.min(unseenMs, MOST_UNSEEN_MS);
  const where = phase === "queued" ? "in the queue" : `at step ${step ?? "pod"}`;
  const why = reason === null ? "" : `: ${reason}`;
  return {
    at: since + minutes * MINUTE_MS + leftOutMs,
    outcome: "failed",
    reason: `Not ready after ${minutes} minutes${getOutage(leftOutMs)}, ${where}${why}`,
  };
}

function getOutage(ms: number): string {
  const minutes = Math.round(ms / MINUTE_MS);
  return minutes === 0 ? "" : ` (${minutes} more in an outage)`;
}

function alarm(environment: Environment): Deadline | undefined {
  const {
    end: { stoppingAt, alarmedAt },
  } = environment;
  if (stoppingAt === null || (alarmedAt ?? 0) >= stoppingAt) return undefined;
  return { at: stoppingAt + ALARM_MS, outcome: "alarm", reason: whatItWaitsFor(environment) };
}

/** Returns the obstacle. After the compute is gone, a failing step did not ask the cluster. */
function whatItWaitsFor({ end: { waitsFor }, attempts, run: { grant } }: Environment): string {
  if (attempts > 0 && !grant) return "A step of its end failed; retrying";
  return attempts > 0 || waitsFor === null ? "Waits for the cluster to answer" : waitsFor;
}

/** Limits an attempt only once its volume is detached, which is seen before the first attempt is claimed. */
function attemptLimit({ run: { grant }, disk, end: { backup } }: Environment): Deadline | undefined {
  if (grant || !backup || !disk || !mayHaveWritten(disk) || disk.released) return undefined;
  // The claiming worker may act until then, so the disk is not released before.
  return {
    at: Math.max(backup.since + ATTEMPT_MS, backup.until),
    outcome: "attempt",
    reason: "Its backup took too long",
  };
}
