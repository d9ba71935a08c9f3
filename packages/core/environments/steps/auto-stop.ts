import type { Context } from "../../context.ts";
import type { Observation } from "../../ports/compute.ts";
import { decideIdle, type RecordedIdle } from "../record/idle.ts";
import type { Environment } from "../record/record.ts";
import { stopNow } from "../verbs/stop.ts";

/**
 * Looks whether anybody uses it, as often as its policy says, and stops it if not. It decides on the record of this
 * very step, whose write is conditional: a heartbeat or an exec that came meanwhile makes it decide again.
 */
export function lookForUse(ctx: Context, environment: Environment, observed: Observation, now: number): Environment {
  const {
    policy,
    use: { lastUsedAt, busyUntil, idle },
  } = environment;
  if (!policy.idle || now < nextUseLookAt(environment)) return environment;
  const startedAt = environment.run.startedAt ?? now;
  const decidedAt = lastUseLookAt(startedAt, idle);
  const signals = { startedAt, lastUsedAt, busyUntil, sessions: observed.sessions, decidedAt };
  const decision = decideIdle(signals, policy.idle, now);
  const isOver = decision.verdict === "stop";
  const dryRun = isOver && ctx.settings.idleDryRun;
  const decided = { ...environment, use: { ...environment.use, idle: { ...decision, at: now, dryRun } } };
  return isOver && !dryRun ? stopNow(decided, now, "auto-stop") : decided;
}

/** When that is looked at next; never for one that is not stopped by itself. */
export function nextUseLookAt({ policy, run: { startedAt }, use: { idle } }: Environment): number {
  if (!policy.idle || startedAt === null) return Number.POSITIVE_INFINITY;
  return lastUseLookAt(startedAt, idle) + policy.idle.everyMs;
}

function lastUseLookAt(startedAt: number, idle: RecordedIdle | null): number {
  return Math.max(startedAt, idle?.at ?? startedAt);
}
