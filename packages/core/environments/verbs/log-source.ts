import type { UserContext } from "../../context.ts";
import type { LiveLogs, LogPart } from "../../ports/run-log.ts";
import {
  baseOfRun,
  endOfLog,
  isLogComplete,
  isPrinting,
  type KeptLog,
  knownEnd,
  logEndsAt,
} from "../record/log/kept-log.ts";
import { getEnvironment } from "../record/read.ts";
import type { Environment } from "../record/record.ts";

const TRIES = 3;

export interface Window extends LogPart {
  readonly isComplete: boolean;
}

/** Reads the present output of a run whose last copy is not made yet. */
export async function readLive(
  environment: Environment,
  live: LiveLogs | undefined,
  after: number,
): Promise<Window | undefined> {
  const { uid, run, log } = environment;
  if (!live || run.appliedAt === null || run.removedAt !== null || isLogComplete(environment)) return undefined;
  // A copy contains the last output of a remote log, whose stream may be late or gone.
  if (live.isRemote && !isPrinting(environment)) return undefined;
  const base = baseOfRun(environment);
  const part = await live.read(uid, run.n, Math.max(0, after - base), knownEnd(environment));
  if (!part) return undefined;
  const window = { start: base + part.start, bytes: part.bytes, isComplete: false };
  // A run without output yet would hide the output of earlier runs.
  return log?.blob && endOffset(window) < endOfCopy(log) ? undefined : window;
}

export async function readCopy(
  ctx: UserContext<"table" | "blobs">,
  id: string,
  isWanted: (log: KeptLog) => boolean,
): Promise<Window & { readonly isCut: boolean }> {
  let isComplete = false;
  for (let tries = 0; tries < TRIES; tries++) {
    const environment = await getEnvironment(ctx, id);
    const { log } = environment;
    isComplete = isLogComplete(environment);
    const isOver = ctx.clock.now() >= (logEndsAt(environment) ?? Number.POSITIVE_INFINITY);
    if (!log?.blob || isOver) break;
    if (!isWanted(log)) return { start: endOfCopy(log), bytes: new Uint8Array(), isCut: log.cut, isComplete };
    const bytes = await ctx.blobs.get(log.blob);
    // A newer copy has replaced a missing one, so read the record again.
    if (bytes) return { start: log.start ?? 0, bytes, isCut: log.cut, isComplete };
  }
  return { start: 0, bytes: new Uint8Array(), isCut: false, isComplete };
}

/** Returns the end of a copy, or Infinity for records of earlier versions, which lack its length. */
export function endOfCopy(log: KeptLog): number {
  return log.bytes === undefined ? Number.POSITIVE_INFINITY : endOfLog(log);
}

export function endOffset({ start, bytes }: LogPart): number {
  return start + bytes.length;
}
