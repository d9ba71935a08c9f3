import type { Item } from "../../../ports/table.ts";
import { HOUR_MS } from "../../../units.ts";
import type { Environment } from "../record.ts";

/** Time in which no look could tell how far a run is. Limits leave it out (docs/architecture/deadlines.md). */
export interface Unseen {
  /** Since the run was asked for, ms. */
  readonly ms: number;
  /** Since its present grant was taken, ms. */
  readonly runMs: number;
  /** When the cluster, or a machine of the run, first failed to answer; absent once both have answered. */
  readonly since?: number | undefined;
  /** The name of the machine that does not answer; absent: the cluster does not. */
  readonly machine?: string | undefined;
}

/** Lateness that counts as waiting: messages get lost, and queues are deep. */
const LATE_MS = 30_000;
/** The same during a backup, whose attempts take hours. */
const LATE_BACKUP_MS = HOUR_MS;

/** Leaves out the time in which no worker looked, although a look was due. */
export function noteLateLook(environment: Environment, now: number): Environment {
  const { phase, unseen, end, dueAt } = environment;
  const lateMs = now - (dueAt ?? now);
  if (phase === "stopping" && end.backup && lateMs > LATE_BACKUP_MS) {
    return { ...environment, end: { ...end, backup: { ...end.backup, since: end.backup.since + lateMs } } };
  }
  // An outage of the cluster that is still open counts this time already.
  if (phase !== "preparing" || unseen?.since !== undefined || lateMs <= LATE_MS) return environment;
  return leaveOut(environment, lateMs - LATE_MS);
}

/** Notes that the cluster did not answer a look, or that this machine of the run does not answer the cluster. */
export function noteNoAnswer(environment: Environment, now: number, machine?: string): Environment {
  const { ms = 0, runMs = 0, since = now } = environment.unseen ?? {};
  return { ...environment, unseen: { ms, runMs, since, machine } };
}

/** Reports whether the latest look could tell how far the run is. */
export function isAnswered({ unseen }: Pick<Environment, "unseen">): boolean {
  return unseen?.since === undefined;
}

/** Reports whether the look between these two ended an outage. */
export function isOutageOver(before: Environment, after: Environment): boolean {
  return !isAnswered(before) && isAnswered(after);
}

/** Reports whether the latest look got no answer of the cluster. */
export function isClusterSilent(record: Item | Environment): boolean {
  const { since, machine } = (record.unseen ?? {}) as Partial<Unseen>;
  return since !== undefined && machine === undefined;
}

/** Notes that a look could tell how far the run is, which ends an outage. */
export function noteAnswer(environment: Environment, now: number): Environment {
  const { unseen, phase } = environment;
  if (unseen?.since === undefined) return environment;
  const answered = { ...environment, unseen: { ms: unseen.ms, runMs: unseen.runMs } };
  return phase === "preparing" ? leaveOut(answered, Math.max(0, now - unseen.since)) : answered;
}

/** A run that was made before the outage has the rest of its time to be bound, too. */
function leaveOut(environment: Environment, ms: number): Environment {
  const { unseen, run } = environment;
  return {
    ...environment,
    unseen: { ms: (unseen?.ms ?? 0) + ms, runMs: (unseen?.runMs ?? 0) + ms },
    run: { ...run, appliedAt: run.appliedAt === null ? null : run.appliedAt + ms },
  };
}
