import type { UserContext } from "../../context.ts";
import { Problem } from "../../problem.ts";
import { changeEnvironment } from "../record/change.ts";
import {
  COPIED_EVERY_MS,
  isLogComplete,
  isLogWanted,
  type KeptLog,
  lacksLastLog,
  logEndsAt,
} from "../record/kept-log.ts";
import { type LogWindow, partOfWindow } from "../record/log-window.ts";
import { getEnvironment } from "../record/read.ts";
import type { Environment } from "../record/record.ts";
import { waitForEnvironment } from "../record/wait.ts";

/** For how long one who reads a log has it copied, and how much of that is left when the next one says so again. */
const WANTED_MS = 120_000;
const WANTED_AGAIN_MS = 60_000;

export interface LogText {
  readonly text: string;
  /** There was more before it. */
  readonly cut: boolean;
  /** The position behind it, from which a reader goes on. */
  readonly next: number;
  /** Nothing follows any more. */
  readonly ended: boolean;
}

/** From which position on, how many bytes at most, and how long to wait for some. */
export interface LogRequest {
  readonly after: number;
  readonly mostBytes: number;
  readonly waitMs: number;
}

/**
 * The output of the caller's environment; "" before it began and 7 days after its end. Of one that runs it has it copied
 * for the next two minutes, and waits up to 2 s for a fresh copy; of one that has just ended, for its last one: whoever
 * saw the end asks now. Throws `notFound`.
 */
export async function readLog(ctx: UserContext<"table" | "queue" | "blobs">, id: string): Promise<LogText> {
  await waitForCopy(ctx, id, await getEnvironment(ctx, id));
  return readKeptLog(ctx, id);
}

/** How often the record is looked at by a request that waits. */
const LOOK_MS = 1_000;

/**
 * The output of the caller's environment from a position on, in whole characters. It waits until there is some, or the log
 * is complete, or the time is over. `cut`: what stood at the position is not kept any more. Throws `notFound`.
 */
export async function followLog(
  ctx: UserContext<"table" | "queue" | "blobs">,
  id: string,
  { after, mostBytes, waitMs }: LogRequest,
): Promise<LogText> {
  if (waitMs === 0) await waitForCopy(ctx, id, await getEnvironment(ctx, id));
  const startedAt = ctx.clock.monotonic();
  for (;;) {
    const kept = await readWindow(ctx, id, (log) => endOf(log) > after);
    const left = waitMs - (ctx.clock.monotonic() - startedAt);
    if (kept.bytes.length > 0 || kept.isComplete || left <= 0) return partFrom(kept, after, mostBytes);
    await wantCopies(ctx, id, await getEnvironment(ctx, id)).catch(unlessBusy);
    await ctx.clock.sleep(Math.min(LOOK_MS, left));
  }
}

async function waitForCopy(ctx: UserContext<"table" | "queue">, id: string, environment: Environment): Promise<void> {
  const now = ctx.clock.now();
  if (isCopied(environment, now - COPIED_EVERY_MS + 1)) return;
  try {
    await wantCopies(ctx, id, environment);
    await waitForEnvironment(ctx, id, (read) => !read || isCopied(read, now), COPIED_EVERY_MS);
  } catch (error) {
    unlessBusy(error);
  }
}

/** Has the log of an environment that prints copied for the next two minutes. */
async function wantCopies(ctx: UserContext<"table" | "queue">, id: string, environment: Environment): Promise<void> {
  const now = ctx.clock.now();
  if (!isPrinting(environment) || isLogWanted(environment, now + WANTED_AGAIN_MS)) return;
  await changeEnvironment(ctx, id, (before) => ({ ...before, logWantedUntil: now + WANTED_MS }));
}

/** Other writers were always faster: then the log is read as it was copied last. */
function unlessBusy(error: unknown): void {
  if (!(error instanceof Problem && error.kind === "unavailable")) throw error;
}

/** Since then while it prints; whole once it has ended, as long as its run is there to be copied from. */
function isCopied(environment: Environment, since: number): boolean {
  if (isPrinting(environment)) return (environment.log?.at ?? 0) >= since;
  const { phase, end, run } = environment;
  const isEnding = (phase === "active" || phase === "stopping") && end.outcome !== null && run.removedAt === null;
  return !isEnding || !lacksLastLog(environment);
}

function isPrinting({ phase, hasCommand, end: { outcome } }: Environment): boolean {
  return hasCommand && phase === "active" && outcome === null;
}

const TRIES = 3;

/** The output as it was copied last. Throws `notFound`. */
export async function readKeptLog(ctx: UserContext<"table" | "blobs">, id: string): Promise<LogText> {
  const kept = await readWindow(ctx, id, () => true);
  const { text, next, ended } = partFrom(kept, 0, Number.POSITIVE_INFINITY);
  return { text, cut: kept.cut, next, ended };
}

interface KeptWindow extends LogWindow {
  readonly cut: boolean;
  readonly isComplete: boolean;
}

/** Reads the bytes of the latest copy, if they are wanted: the record says where they begin and end. */
async function readWindow(
  ctx: UserContext<"table" | "blobs">,
  id: string,
  isWanted: (window: Pick<KeptLog, "start" | "bytes">) => boolean,
): Promise<KeptWindow> {
  let isComplete = false;
  for (let tries = 0; tries < TRIES; tries++) {
    const environment = await getEnvironment(ctx, id);
    const { log } = environment;
    isComplete = isLogComplete(environment);
    const isOver = ctx.clock.now() >= (logEndsAt(environment) ?? Number.POSITIVE_INFINITY);
    if (!log?.blob || isOver) break;
    const window = { start: log.start ?? 0, cut: log.cut, isComplete };
    if (!isWanted(log)) return { ...window, start: endOf(log), bytes: new Uint8Array() };
    const bytes = await ctx.blobs.get(log.blob);
    // Gone means that a newer copy has taken its place meanwhile.
    if (bytes) return { ...window, bytes };
  }
  return { start: 0, bytes: new Uint8Array(), cut: false, isComplete };
}

function endOf({ start = 0, bytes = Number.POSITIVE_INFINITY }: Pick<KeptLog, "start" | "bytes">): number {
  return start + bytes;
}

function partFrom(kept: KeptWindow, after: number, mostBytes: number): LogText {
  const part = partOfWindow(kept, after, mostBytes);
  const next = part.start + part.bytes.length;
  return {
    text: new TextDecoder("utf-8", { ignoreBOM: true }).decode(part.bytes),
    cut: after < kept.start,
    next,
    ended: kept.isComplete && next === kept.start + kept.bytes.length,
  };
}
