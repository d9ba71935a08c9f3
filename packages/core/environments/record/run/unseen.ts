import type { Item } from "../../../ports/table.ts";
import { HOUR_MS } from "../../../units.ts";
import type { Environment } from "../record.ts";

/** Time in which no reconcile could observe a run. Limits exclude it (docs/architecture/deadlines.md). */
export interface Unseen {
  /** Since the request for the run, ms. */
  readonly ms: number;
  /** Since its present grant was taken, ms. */
  readonly runMs: number;
  /** When the cluster, or a machine of the run, first failed to answer; absent once both have answered. */
  readonly since?: number | undefined;
  readonly machine?: string | undefined;
}

/** Tolerated lateness of a reconcile: messages get lost, and queues are deep. */
const LATE_MS = 30_000;
const LATE_BACKUP_MS = HOUR_MS;

/** Excludes the time in which a reconcile was due but no worker ran. */
export function noteLatePass(environment: Environment, now: number): Environment {
  const { phase, unseen, end, dueAt } = environment;
  const lateMs = now - (dueAt ?? now);
  if (phase === "stopping" && end.backup && lateMs > LATE_BACKUP_MS) {
    return { ...environment, end: { ...end, backup: { ...end.backup, since: end.backup.since + lateMs } } };
  }
  // An open outage of the cluster already counts this time.
  if (phase !== "preparing" || unseen?.since !== undefined || lateMs <= LATE_MS) return environment;
  return leaveOut(environment, lateMs - LATE_MS);
}

export function noteNoAnswer(environment: Environment, now: number, machine?: string): Environment {
  const { ms = 0, runMs = 0, since = now } = environment.unseen ?? {};
  return { ...environment, unseen: { ms, runMs, since, machine } };
}

export function isAnswered({ unseen }: Pick<Environment, "unseen">): boolean {
  return unseen?.since === undefined;
}

export function isOutageOver(before: Environment, after: Environment): boolean {
  return !isAnswered(before) && isAnswered(after);
}

export function isClusterSilent(record: Item | Environment): boolean {
  const { since, machine } = (record.unseen ?? {}) as Partial<Unseen>;
  return since !== undefined && machine === undefined;
}

export function noteAnswer(environment: Environment, now: number): Environment {
  const { unseen, phase } = environment;
  if (unseen?.since === undefined) return environment;
  const answered = { ...environment, unseen: { ms: unseen.ms, runMs: unseen.runMs } };
  return phase === "preparing" ? leaveOut(answered, Math.max(0, now - unseen.since)) : answered;
}

/** Leaves an outage out of the silent time, and moves the bind deadline of a run that was made before it. */
function leaveOut(environment: Environment, ms: number): Environment {
  const { unseen, run } = environment;
  return {
    ...environment,
    unseen: { ms: (unseen?.ms ?? 0) + ms, runMs: (unseen?.runMs ?? 0) + ms },
    run: { ...run, appliedAt: run.appliedAt === null ? null : run.appliedAt + ms },
  };
}
