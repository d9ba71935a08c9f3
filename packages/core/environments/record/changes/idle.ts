import type { IdlePolicy } from "../policy.ts";

export interface IdleSignals {
  readonly startedAt: number;
  readonly lastUsedAt: number | null;
  readonly busyUntil: number | null;
  /** Open terminals, running execs, busy Jupyter kernels and programs in terminals; null if unknown. */
  readonly sessions: number | null;
  /** Last reconcile that saw sessions; null if none in this run. */
  readonly seenAt: number | null;
  readonly decidedAt: number;
}

/** The signal behind a decision. `unknown sessions`: the reconcile failed, or there was none for too long. */
export type IdleSignal = "start" | "heartbeat" | "exec" | "sessions" | "unknown sessions" | "gpus";

export interface IdleDecision {
  readonly verdict: "keep" | "stop";
  readonly signal: IdleSignal;
  readonly since: number;
}

export interface RecordedIdle extends IdleDecision {
  readonly at: number;
  /** Whether only a dry run kept the environment from being stopped. */
  readonly dryRun: boolean;
  readonly seenAt?: number | undefined;
  /** Time of the warning in this idle time; absent before it. */
  readonly warnedAt?: number | undefined;
}

/** Decides whether to stop. Pure; a missing signal counts as use (docs/architecture/idle.md). */
export function decideIdle(signals: IdleSignals, { afterMs, everyMs }: IdlePolicy, now: number): IdleDecision {
  const { startedAt, lastUsedAt, busyUntil, sessions, seenAt, decidedAt } = signals;
  const isHeartbeat = lastUsedAt !== null && lastUsedAt >= startedAt;
  const since = isHeartbeat ? lastUsedAt : startedAt;
  if (sessions === null) return { verdict: "keep", signal: "unknown sessions", since: now };
  if (sessions > 0) return { verdict: "keep", signal: "sessions", since: now };
  if (busyUntil !== null && busyUntil > now) return { verdict: "keep", signal: "exec", since: now };
  // No reconcile for two intervals: heartbeats may have been lost, so give users time to send one.
  if (now - decidedAt > 2 * everyMs) return { verdict: "keep", signal: "unknown sessions", since: now };
  const used = Math.max(since, busyUntil ?? 0, seenAt ?? 0);
  const signal = used === since ? (isHeartbeat ? "heartbeat" : "start") : used === seenAt ? "sessions" : "exec";
  return { verdict: now - used > afterMs ? "stop" : "keep", signal, since: used };
}

export interface GpuUse {
  /** Start of the idle time; the time of the reconcile itself if the GPUs were used or their use is unknown. */
  readonly since: number;
  readonly at: number;
  readonly warnedAt: number | null;
}

export interface GpuDecision {
  readonly verdict: "keep" | "warn" | "stop";
  readonly since: number;
  readonly warnedAt: number | null;
}

const WARNING_MS = 10 * 60_000;

/** Returns the time from warning to stop: 10 minutes, or half of `afterMs` if that is shorter. */
export function idleWarningMs(afterMs: number): number {
  return Math.min(WARNING_MS, afterMs / 2);
}

/** Keeps, warns or stops. Never stops before the full warning time. Pure; null means unknown and counts as use. */
export function decideGpuIdle(
  { idleSince, warnedAt }: { readonly idleSince: number | null; readonly warnedAt: number | null },
  afterMs: number,
  now: number,
): GpuDecision {
  const since = idleSince ?? now;
  const warningMs = idleWarningMs(afterMs);
  if (now - since < afterMs - warningMs) return { verdict: "keep", since, warnedAt: null };
  // Use after a warning cancels it, so the next idle time gets its own warning.
  if (warnedAt === null || warnedAt < since) return { verdict: "warn", since, warnedAt: now };
  const isOver = now - since >= afterMs && now - warnedAt >= warningMs;
  return { verdict: isOver ? "stop" : "keep", since, warnedAt };
}
