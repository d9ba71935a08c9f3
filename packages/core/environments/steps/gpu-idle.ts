import type { Context } from "../../context.ts";
import type { Observation } from "../../ports/compute.ts";
import type { Settings } from "../../settings.ts";
import { durationText } from "../../text/duration-text.ts";
import { MINUTE_MS } from "../../units.ts";
import { decideGpuIdle, idleWarningMs } from "../record/changes/idle.ts";
import type { Environment } from "../record/record.ts";
import { addEntry } from "../record/timeline.ts";
import { decideEnd, enter } from "../record/transitions.ts";
import { stopNow } from "../verbs/stop.ts";

export const GPU_WARNING = "Its GPUs are idle:";

type Limit = Pick<Settings, "idleGpuMinutes">;

/** Warns, then stops or ends an environment with idle GPUs, despite open sessions (docs/architecture/idle.md). */
export function checkGpus(ctx: Context, environment: Environment, observed: Observation, now: number): Environment {
  const afterMs = findLimit(environment, ctx.settings);
  if (afterMs === null || now < nextGpuCheckAt(environment, ctx.settings)) return environment;
  const { use } = environment;
  const signals = { idleSince: observed.gpuIdleSince ?? null, warnedAt: use.gpus?.warnedAt ?? null };
  const { verdict, since, warnedAt } = decideGpuIdle(signals, afterMs, now);
  const dryRun = verdict === "stop" && ctx.settings.idleDryRun;
  const seen = { ...environment, use: { ...use, gpus: { since, at: now, warnedAt } } };
  if (verdict === "warn") return addEntry(seen, now, formatWarning(afterMs));
  if (verdict !== "stop") return seen;
  const idle = { verdict, signal: "gpus", since, at: now, dryRun } as const;
  const decided = { ...seen, use: { ...seen.use, idle } };
  return dryRun ? decided : end(decided, afterMs, now);
}

/** Returns when GPU use is checked next. GPUs in use recently cannot be idle for long enough earlier. */
export function nextGpuCheckAt(environment: Environment, settings: Limit): number {
  const afterMs = findLimit(environment, settings);
  const { startedAt } = environment.run;
  if (afterMs === null || startedAt === null) return Number.POSITIVE_INFINITY;
  const { since, at, warnedAt } = environment.use.gpus ?? { since: startedAt, at: startedAt, warnedAt: null };
  const warningMs = idleWarningMs(afterMs);
  const next = warnedAt === null ? since + afterMs - warningMs : Math.max(since + afterMs, warnedAt + warningMs);
  // A dry run continues to check, at the interval of the warning.
  return next > at ? next : at + warningMs;
}

function findLimit({ size }: Environment, { idleGpuMinutes }: Limit): number | null {
  return idleGpuMinutes === undefined || size.gpus === 0 ? null : idleGpuMinutes * MINUTE_MS;
}

function end(environment: Environment, afterMs: number, now: number): Environment {
  if (environment.policy.restarts) return stopNow(environment, now, "auto-stop");
  const reason = `Its GPUs were idle for ${durationText(afterMs)}`;
  return enter(decideEnd(environment, { phase: "cancelled", reason, at: now }), "stopping", now, reason);
}

function formatWarning(afterMs: number): string {
  return `${GPU_WARNING} it ends in ${durationText(idleWarningMs(afterMs))} unless they are used`;
}
