import type { LogEnd } from "../../../ports/run-log.ts";
import { DAY_MS } from "../../../units.ts";
import type { Environment } from "../record.ts";

export const COPIED_EVERY_MS = 2_000;
/** docs/apis/gpu-dev.md#read-jobs. */
const KEPT_AFTER_END_MS = 7 * DAY_MS;

export interface KeptLog {
  /** Unique per copy, so that a paused worker overwrites nothing; null before the first copy. */
  readonly blob: string | null;
  /** Only earlier versions read it. */
  readonly hash: string;
  readonly cut: boolean;
  /** Position of the first byte in the whole output; absent: 0. */
  readonly start?: number | undefined;
  /** Length in bytes; absent in records of earlier versions. */
  readonly bytes?: number | undefined;
  readonly at: number;
  readonly failed: boolean;
  /** The run whose final output this is, if any. */
  readonly lastOf?: number | undefined;
  /** The run that printed it; absent in records of earlier versions. */
  readonly run?: number | undefined;
  /** Position where the run's output begins, after that of earlier runs; absent: 0. */
  readonly base?: number | undefined;
  /** The compute's mark for the end of the copied output. */
  readonly mark?: string | undefined;
}

export function endOfLog({ start = 0, bytes = 0 }: Pick<KeptLog, "start" | "bytes">): number {
  return start + bytes;
}

export function baseOfRun({ log, run }: Pick<Environment, "log" | "run">): number {
  if (!log?.blob) return 0;
  return (log.run ?? run.n) === run.n ? (log.base ?? 0) : endOfLog(log);
}

/** Returns the end of the last copy in the output of the present run, or undefined without such a copy. */
export function knownEnd(environment: Pick<Environment, "log" | "run">): LogEnd | undefined {
  const { log, run } = environment;
  if (!log?.blob || log.run !== run.n) return undefined;
  return { position: endOfLog(log) - baseOfRun(environment), mark: log.mark };
}

export function isPrinting({ phase, hasCommand, end: { outcome } }: Environment): boolean {
  return hasCommand && phase === "active" && outcome === null;
}

export function isLogWanted({ logWantedUntil }: Environment, now: number): boolean {
  return (logWantedUntil ?? 0) > now;
}

/** Reports whether the final output of this run is still to be copied. A failed copy counts as done. */
export function lacksLastLog({ hasCommand, run, log }: Environment): boolean {
  return hasCommand && run.appliedAt !== null && log?.lastOf !== run.n;
}

export function isLogComplete(environment: Environment): boolean {
  const { phase, end, run } = environment;
  if (end.outcome === null) return false;
  const isCopying = phase === "active" || phase === "stopping";
  return !isCopying || run.removedAt !== null || run.appliedAt === null || !lacksLastLog(environment);
}

export function logEndsAt({ log, end: { at: endedAt } }: Environment): number | undefined {
  return log?.blob && endedAt !== null ? endedAt + KEPT_AFTER_END_MS : undefined;
}
