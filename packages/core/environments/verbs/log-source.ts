import type { UserContext } from "../../context.ts";
import type { LiveLogs, LogPart } from "../../ports/run-log.ts";
import { baseOfRun, endOfLog, isLogComplete, type KeptLog, logEndsAt } from "../record/log/kept-log.ts";
import { getEnvironment } from "../record/read.ts";
import type { Environment } from "../record/record.ts";

const TRIES = 3;

/** A part of the output of an environment. */
export interface Window extends LogPart {
  /** Whether nothing follows it any more. */
  readonly isComplete: boolean;
}

/** Reads what a run has printed by now, if it is there and its last copy is not made. */
export async function readLive(
  environment: Environment,
  live: LiveLogs | undefined,
  after: number,
): Promise<Window | undefined> {
  const { uid, run, log } = environment;
  if (!live || run.appliedAt === null || run.removedAt !== null || isLogComplete(environment)) return undefined;
  const base = baseOfRun(environment);
  const part = await live.read(uid, run.n, Math.max(0, after - base));
  if (!part) return undefined;
  const window = { start: base + part.start, bytes: part.bytes, isComplete: false };
  // A run that printed nothing yet shows none of what earlier ones printed.
  return log?.blob && endOf(window) < endOfCopy(log) ? undefined : window;
}

/** Reads the bytes of the latest copy, if they are wanted: the record says where they begin and end. */
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
    // A missing copy was replaced by a newer one.
    if (bytes) return { start: log.start ?? 0, bytes, isCut: log.cut, isComplete };
  }
  return { start: 0, bytes: new Uint8Array(), isCut: false, isComplete };
}

/** Records of earlier code do not say how many bytes a copy has. */
export function endOfCopy(log: KeptLog): number {
  return log.bytes === undefined ? Number.POSITIVE_INFINITY : endOfLog(log);
}

export function endOf({ start, bytes }: LogPart): number {
  return start + bytes.length;
}
