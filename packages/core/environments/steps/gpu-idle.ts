import type { Context } from "../../context.ts";
import type { Observation } from "../../ports/compute.ts";
import type { Settings } from "../../settings.ts";
import type { WorkerContext } from "../../worker.ts";
import { decideGpuIdle, gpuWarningMs } from "../record/idle.ts";
import type { Environment } from "../record/record.ts";
import { addEntry } from "../record/timeline.ts";
import { decideEnd, enter } from "../record/transitions.ts";
import { stopNow } from "../verbs/stop.ts";

const MINUTE_MS = 60_000;

type Limit = Pick<Settings, "idleGpuMinutes">;

/**
 * Where the deployment says so, an environment whose GPUs do nothing is warned and then stopped, or ended where it cannot
 * be started again: whoever is inside does not keep it (docs/architecture.md#idle).
 */
export function lookAtGpus(ctx: Context, environment: Environment, observed: Observation, now: number): Environment {
  const afterMs = limitOf(environment, ctx.settings);
  if (afterMs === null || now < nextGpuLookAt(environment, ctx.settings)) return environment;
  const { use } = environment;
  const signals = { idleSince: observed.gpuIdleSince ?? null, warnedAt: use.gpus?.warnedAt ?? null };
  const { verdict, since, warnedAt } = decideGpuIdle(signals, afterMs, now);
  const dryRun = verdict === "stop" && ctx.settings.idleDryRun;
  const seen = { ...environment, use: { ...use, gpus: { since, at: now, warnedAt } } };
  if (verdict === "warn") return addEntry(seen, now, warningOf(afterMs));
  if (verdict !== "stop") return seen;
  const idle = { verdict, signal: "gpus", since, at: now, dryRun } as const;
  const decided = { ...seen, use: { ...seen.use, idle } };
  return dryRun ? decided : end(decided, afterMs, now);
}

/** When that is looked at next; never where nothing is ended for it. What was used last is not idle long enough before. */
export function nextGpuLookAt(environment: Environment, settings: Limit): number {
  const afterMs = limitOf(environment, settings);
  const { startedAt } = environment.run;
  if (afterMs === null || startedAt === null) return Number.POSITIVE_INFINITY;
  const { since, at, warnedAt } = environment.use.gpus ?? { since: startedAt, at: startedAt, warnedAt: null };
  const warningMs = gpuWarningMs(afterMs);
  const next = warnedAt === null ? since + afterMs - warningMs : Math.max(since + afterMs, warnedAt + warningMs);
  // A dry run goes on looking, at every warning's distance.
  return next > at ? next : at + warningMs;
}

/** Says it at every terminal that is open in its first machine; who is not reached has the record and the webhook. */
export async function warnTerminals(ctx: WorkerContext, { uid, run, use }: Environment, words: string): Promise<void> {
  // Each by itself: one that was stopped with Ctrl-S takes nothing.
  const script = 'for at in /dev/pts/[0-9]*; do printf "\\r\\n%s\\r\\n" "$1" >"$at" & done; wait';
  await ctx.compute.startExec(uid, run.n, {
    id: `gpus-idle-${use.gpus?.warnedAt ?? 0}`,
    words: ["/bin/sh", "-c", script, "sh", words],
    stdin: "",
    env: {},
    directory: undefined,
    timeoutMs: 5_000,
  });
}

/** The words in which a look has warned; undefined: it has not. */
export function warningBetween(before: Environment, after: Environment): string | undefined {
  const { warnedAt = null } = after.use.gpus ?? {};
  if (warnedAt === null || warnedAt === before.use.gpus?.warnedAt) return undefined;
  return after.events.timeline.at(-1)?.reason ?? undefined;
}

function limitOf({ size }: Environment, { idleGpuMinutes }: Limit): number | null {
  return idleGpuMinutes === undefined || size.gpus === 0 ? null : idleGpuMinutes * MINUTE_MS;
}

function end(environment: Environment, afterMs: number, now: number): Environment {
  if (environment.policy.restarts) return stopNow(environment, now, "auto-stop");
  const reason = `Its GPUs were idle for ${inWords(afterMs)}`;
  return enter(decideEnd(environment, { phase: "cancelled", reason, at: now }), "stopping", now, reason);
}

function warningOf(afterMs: number): string {
  return `Its GPUs are idle: it ends in ${inWords(gpuWarningMs(afterMs))} unless they are used`;
}

function inWords(ms: number): string {
  const minutes = Math.max(1, Math.round(ms / MINUTE_MS));
  return ms < MINUTE_MS ? `${Math.ceil(ms / 1000)} seconds` : `${minutes} ${minutes === 1 ? "minute" : "minutes"}`;
}
