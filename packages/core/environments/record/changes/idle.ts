import type { IdlePolicy } from "../policy.ts";

/** The signals that say whether an environment is used. Times are ms. */
export interface IdleSignals {
  readonly startedAt: number;
  readonly lastUsedAt: number | null;
  /** A running exec counts as use until then. */
  readonly busyUntil: number | null;
  /** Open terminals, running execs, busy Jupyter kernels and programs in terminals; null: unknown. */
  readonly sessions: number | null;
  /** When a look last saw sessions; null: none in this run. */
  readonly seenAt: number | null;
  /** When idleness was last decided, or when the run started. */
  readonly decidedAt: number;
}

/**
 * What decided, in the words of the signals; `unknown sessions`: nobody could tell whether it is used, or nobody
 * looked.
 */
export type IdleSignal = "start" | "heartbeat" | "exec" | "sessions" | "unknown sessions" | "gpus";

export interface IdleDecision {
  readonly verdict: "keep" | "stop";
  readonly signal: IdleSignal;
  /** Unused since then. */
  readonly since: number;
}

/** A decision as the record shows it. */
export interface RecordedIdle extends IdleDecision {
  readonly at: number;
  /** It would have been stopped, were this no dry run. */
  readonly dryRun: boolean;
  /** When a look last saw sessions; absent: none in this run. */
  readonly seenAt?: number | undefined;
  /** When its people were warned of the stop, in this time of idleness; absent: not yet. */
  readonly warnedAt?: number | undefined;
}

/** Whether somebody uses it. Pure; a signal that is missing counts as use (docs/architecture/idle.md). */
export function decideIdle(signals: IdleSignals, { afterMs, everyMs }: IdlePolicy, now: number): IdleDecision {
  const { startedAt, lastUsedAt, busyUntil, sessions, seenAt, decidedAt } = signals;
  const isHeartbeat = lastUsedAt !== null && lastUsedAt >= startedAt;
  const since = isHeartbeat ? lastUsedAt : startedAt;
  if (sessions === null) return { verdict: "keep", signal: "unknown sessions", since: now };
  if (sessions > 0) return { verdict: "keep", signal: "sessions", since: now };
  if (busyUntil !== null && busyUntil > now) return { verdict: "keep", signal: "exec", since: now };
  // Nobody looked for two intervals: a heartbeat may have been lost, and users need a moment to send one.
  if (now - decidedAt > 2 * everyMs) return { verdict: "keep", signal: "unknown sessions", since: now };
  const used = Math.max(since, busyUntil ?? 0, seenAt ?? 0);
  const signal = used === since ? (isHeartbeat ? "heartbeat" : "start") : used === seenAt ? "sessions" : "exec";
  return { verdict: now - used > afterMs ? "stop" : "keep", signal, since: used };
}

/** The use of a run's GPUs, as of one look. Times are ms. */
export interface GpuUse {
  /** Idle since then; the moment of the look where they were used, or nobody could tell. */
  readonly since: number;
  readonly at: number;
  /** When its people were warned, in this time of idleness; null: not yet. */
  readonly warnedAt: number | null;
}

export interface GpuDecision {
  readonly verdict: "keep" | "warn" | "stop";
  readonly since: number;
  readonly warnedAt: number | null;
}

const WARNING_MS = 10 * 60_000;

/** From the warning to the stop: 10 minutes, or half of `afterMs` where that is under 20 minutes. */
export function idleWarningMs(afterMs: number): number {
  return Math.min(WARNING_MS, afterMs / 2);
}

/**
 * Keeps, warns or stops an environment whose GPUs are idle since `idleSince`. It never stops before the full time of the
 * warning is over. Pure; null means unknown and counts as use.
 */
export function decideGpuIdle(
  { idleSince, warnedAt }: { readonly idleSince: number | null; readonly warnedAt: number | null },
  afterMs: number,
  now: number,
): GpuDecision {
  const since = idleSince ?? now;
  const warningMs = idleWarningMs(afterMs);
  if (now - since < afterMs - warningMs) return { verdict: "keep", since, warnedAt: null };
  // Use after a warning cancels it: the next idle time is warned of anew.
  if (warnedAt === null || warnedAt < since) return { verdict: "warn", since, warnedAt: now };
  const isOver = now - since >= afterMs && now - warnedAt >= warningMs;
  return { verdict: isOver ? "stop" : "keep", since, warnedAt };
}
