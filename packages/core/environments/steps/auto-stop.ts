import type { Observation } from "../../ports/compute.ts";
import { kindOfError } from "../../problem.ts";
import { StepTooOld } from "../../reconciler/budget.ts";
import type { WorkerContext } from "../../reconciler/step.ts";
import { durationText } from "../../text/duration-text.ts";
import { decideIdle, type IdleDecision, idleWarningMs, type RecordedIdle } from "../record/changes/idle.ts";
import type { Environment } from "../record/record.ts";
import { addEntry } from "../record/timeline.ts";
import { stopNow } from "../verbs/stop.ts";

export const IDLE_WARNING = "Not in use:";

/**
 * Checks use at the policy's interval. The step's write is conditional, so a heartbeat in between causes a new
 * decision.
 */
export async function checkUse(
  ctx: WorkerContext,
  environment: Environment,
  observed: Observation,
  now: number,
): Promise<Environment> {
  const {
    policy,
    use: { lastUsedAt, busyUntil, idle },
  } = environment;
  if (!policy.idle || now < nextUseCheckAt(environment)) return environment;
  const startedAt = environment.run.startedAt ?? now;
  const decidedAt = lastUseCheckAt(startedAt, idle);
  const sessions = await countSessions(ctx, environment, observed);
  const isSeen = sessions !== null && sessions > 0;
  const seenAt = isSeen ? now : (idle?.seenAt ?? null);
  const signals = { startedAt, lastUsedAt, busyUntil, sessions, seenAt, decidedAt };
  const decision = decideIdle(signals, policy.idle, now);
  const isUsed = isSeen || (busyUntil ?? 0) > now;
  const warnedAt = isUsed ? undefined : warnedSince(idle, decision);
  const stretch = { seenAt: seenAt ?? undefined, warnedAt };
  const warningMs = idleWarningMs(policy.idle.afterMs);
  const isOver = decision.verdict === "stop" && (ctx.settings.idleDryRun || now - (warnedAt ?? now) >= warningMs);
  const verdict = isOver ? ("stop" as const) : ("keep" as const);
  const seen = { ...decision, verdict, at: now, dryRun: isOver && ctx.settings.idleDryRun, ...stretch };
  const decided = { ...environment, use: { ...environment.use, idle: seen } };
  if (isOver) return seen.dryRun ? decided : stopNow(decided, now, "auto-stop");
  const isDue = warnedAt === undefined && now - decision.since >= policy.idle.afterMs - warningMs;
  if (!isDue || ctx.settings.idleDryRun) return decided;
  const warned = { ...decided, use: { ...decided.use, idle: { ...seen, warnedAt: now } } };
  return addEntry(warned, now, `${IDLE_WARNING} it stops in ${durationText(warningMs)} unless it is used`);
}

/** Returns when the present idle time was warned of. A sign of use ends that warning; unknown use does not. */
function warnedSince(idle: RecordedIdle | null, { signal, since }: IdleDecision): number | undefined {
  const warnedAt = idle?.warnedAt;
  return warnedAt !== undefined && (signal === "unknown sessions" || warnedAt > since) ? warnedAt : undefined;
}

/** Counts sessions or, if there are none, work without a connection. Returns null on a failure, which counts as use. */
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

export function nextUseCheckAt({ policy, run: { startedAt }, use: { idle } }: Environment): number {
  if (!policy.idle || startedAt === null) return Number.POSITIVE_INFINITY;
  return lastUseCheckAt(startedAt, idle) + policy.idle.everyMs;
}

function lastUseCheckAt(startedAt: number, idle: RecordedIdle | null): number {
  return Math.max(startedAt, idle?.at ?? startedAt);
}
