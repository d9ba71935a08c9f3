import { DAY_MS } from "../../../units.ts";
import type { Environment } from "../record.ts";

/** How often it is copied while somebody reads it. */
export const COPIED_EVERY_MS = 2_000;
/** docs/apis/gpu-dev.md#read-jobs. */
const KEPT_AFTER_END_MS = 7 * DAY_MS;

/** What the blobs hold of the output of an environment's command. */
export interface KeptLog {
  /** Each copy has a name of its own, so that a worker that slept overwrites nothing; null: none was made yet. */
  readonly blob: string | null;
  /** Read by earlier versions alone. */
  readonly hash: string;
  /** Older output was cut away. */
  readonly cut: boolean;
  /** Where in the whole output its first byte stands; absent: 0. */
  readonly start?: number | undefined;
  /** How many bytes it has; absent in records of earlier code. */
  readonly bytes?: number | undefined;
  /** When it was compared with what the run printed, ms. */
  readonly at: number;
  /** The latest attempt failed. */
  readonly failed: boolean;
  /** The run at whose end it was copied, if it was. */
  readonly lastOf?: number | undefined;
  /** The run that printed it; absent in records of earlier code. */
  readonly run?: number | undefined;
  /** Where the output of that run begins, behind those of earlier runs; absent: 0. */
  readonly base?: number | undefined;
  /** As its compute marked its end. */
  readonly mark?: string | undefined;
}

/** Returns the position behind the last byte of a copy. */
export function endOfLog({ start = 0, bytes = 0 }: Pick<KeptLog, "start" | "bytes">): number {
  return start + bytes;
}

/** Returns where the output of the present run begins in the whole output of its environment. */
export function baseOfRun({ log, run }: Pick<Environment, "log" | "run">): number {
  if (!log?.blob) return 0;
  return (log.run ?? run.n) === run.n ? (log.base ?? 0) : endOfLog(log);
}

/** Whether somebody has read it lately. */
export function isLogWanted({ logWantedUntil }: Environment, now: number): boolean {
  return (logWantedUntil ?? 0) > now;
}

/** Whether a run that is being ended has not been copied since; a copy that failed counts. */
export function lacksLastLog({ hasCommand, run, log }: Environment): boolean {
  return hasCommand && run.appliedAt !== null && log?.lastOf !== run.n;
}

/** Whether nothing will be added to the log any more. */
export function isLogComplete(environment: Environment): boolean {
  const { phase, end, run } = environment;
  if (end.outcome === null) return false;
  const isLooking = phase === "active" || phase === "stopping";
  return !isLooking || run.removedAt !== null || run.appliedAt === null || !lacksLastLog(environment);
}

/** When the log of an ended environment goes; undefined where there is none. */
export function logEndsAt({ log, end: { at: endedAt } }: Environment): number | undefined {
  return log?.blob && endedAt !== null ? endedAt + KEPT_AFTER_END_MS : undefined;
}
