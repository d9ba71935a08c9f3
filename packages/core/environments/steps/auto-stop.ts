import { StepTooOld } from "../../budget.ts";
import type { Observation } from "../../ports/compute.ts";
import type { WorkerContext } from "../../worker.ts";
import { decideIdle, type RecordedIdle } from "../record/idle.ts";
import { kindOfError } from "../record/kind-of-error.ts";
import type { Environment } from "../record/record.ts";
import { stopNow } from "../verbs/stop.ts";

/**
 * Checks whether the environment is used, as often as its policy says, and stops it if not. The decision is made on the
 * record of this step, whose write is conditional: a heartbeat or an exec that comes meanwhile makes it decide again.
 */
export async function lookForUse(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Environment> {
  const {
    policy,
    use: { lastUsedAt, busyUntil, idle },
  } = environment;
  if (!policy.idle || now < nextUseLookAt(environment)) return environment;
  const startedAt = environment.run.startedAt ?? now;
  const decidedAt = lastUseLookAt(startedAt, idle);
  const sessions = await countSessions(ctx, environment, observed);
  const signals = { startedAt, lastUsedAt, busyUntil, sessions, decidedAt };
  const decision = decideIdle(signals, policy.idle, now);
  const isOver = decision.verdict === "stop";
  const dryRun = isOver && ctx.settings.idleDryRun;
  const decided = { ...environment, use: { ...environment.use, idle: { ...decision, at: now, dryRun } } };
  return isOver && !dryRun ? stopNow(decided, now, "auto-stop") : decided;
}

/** Counts sessions and, without any, what works although nobody is connected. A question that fails counts as use. */
async function countSessions(
  ctx: WorkerContext,
  { uid, run }: Environment,
  { sessions }: Observation,
): Promise<number | null> {
  if (sessions !== 0) return sessions;
  try {
    return await ctx.compute.countWork(uid, run.n);
  } catch (error) {
    if (error instanceof StepTooOld) throw error;
    ctx.log.warn("use not known", { uid, run: run.n, error: kindOfError(error) });
    return null;
  }
}

/** When that is looked at next; never for one that is not stopped by itself. */
export function nextUseLookAt({ policy, run: { startedAt }, use: { idle } }: Environment): number {
  if (!policy.idle || startedAt === null) return Number.POSITIVE_INFINITY;
  return lastUseLookAt(startedAt, idle) + policy.idle.everyMs;
}

function lastUseLookAt(startedAt: number, idle: RecordedIdle | null): number {
  return Math.max(startedAt, idle?.at ?? startedAt);
}
