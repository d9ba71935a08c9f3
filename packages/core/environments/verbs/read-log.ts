import type { UserContext } from "../../context.ts";
import type { LiveLogs } from "../../ports/run-log.ts";
import { Problem } from "../../problem.ts";
import { changeEnvironment } from "../record/changes/change.ts";
import { baseOfRun, COPIED_EVERY_MS, isLogWanted, isPrinting, knownEnd, lacksLastLog } from "../record/log/kept-log.ts";
import { getEnvironment } from "../record/read.ts";
import type { Environment } from "../record/record.ts";
import { waitForEnvironment } from "../record/wait.ts";
import { endOfCopy, endOffset, partOfWindow, readCopy, readLive, type Window } from "./log-source.ts";

/** How long copies continue after a read. A read extends that time once half of it is over. */
const WANTED_MS = 120_000;

type LogContext = UserContext<"table" | "queue" | "blobs">;

export interface LogText {
  readonly text: string;
  readonly cut: boolean;
  readonly next: number;
  readonly ended: boolean;
}

export interface LogRequest {
  readonly after: number;
  readonly mostBytes: number;
  readonly waitMs: number;
  readonly wantsFresh: boolean;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns the output; "" before it began and 7 days after its end. Keeps a running environment copied for two minutes,
 * and waits up to 2 s for a copy. Throws `notFound`.
 */
export async function readLog(ctx: LogContext, id: string, live?: LiveLogs): Promise<LogText> {
  const environment = await getEnvironment(ctx, id);
  const printed = await readLive(environment, live, 0);
  if (printed) return getText(printed, { after: 0, mostBytes: Number.POSITIVE_INFINITY }, printed.start > 0);
  await waitForCopy(ctx, id, environment);
  return readKeptLog(ctx, id);
}

const POLL_MS = 1_000;
/** How far followers of a remote log may read beyond its last copy before another one is made. */
const MOST_AHEAD = 1024 * 1024;
/**
 * Oldest allowed copy of a followed remote log without its latest output. A lost machine takes uncopied output with it.
 */
const MOST_AGE_MS = 30_000;
/** How long a request collects output, so that many lines come in one answer. */
const COLLECT_MS = 50;

/** Returns output from a position on, once there is some, it is complete or the time is over. Throws `notFound`. */
export async function followLog(ctx: LogContext, id: string, request: LogRequest, live?: LiveLogs): Promise<LogText> {
  const { after, waitMs, wantsFresh, signal } = request;
  const startedAt = ctx.clock.monotonic();
  let hasWaited = false;
  for (;;) {
    const environment = await getEnvironment(ctx, id);
    const printed = await readLive(environment, live, after);
    if (wantsFresh && !printed) await waitForCopy(ctx, id, environment);
    const window = printed ?? (await readCopy(ctx, id, (log) => endOfCopy(log) > after));
    if (live?.isRemote && printed) await copyIfFarAhead(ctx, id, environment, endOffset(printed));
    const text = getText(window, request, after < window.start);
    // A stream may have shown more of a remote log than its copy has.
    const isPassed = live?.isRemote && !printed && !window.isComplete && after > text.next;
    const answer = isPassed ? { ...text, next: after } : text;
    const leftMs = waitMs - (ctx.clock.monotonic() - startedAt);
    if (answer.text !== "" && printed && hasWaited && leftMs > 0) {
      hasWaited = false;
      await ctx.clock.sleep(COLLECT_MS, signal);
      continue;
    }
    if (answer.text !== "" || answer.ended || leftMs <= 0 || signal?.aborted) return answer;
    hasWaited = true;
    const pauseMs = Math.min(POLL_MS, leftMs);
    if (!printed) await wantCopies(ctx, id, environment).catch(unlessBusy);
    await waitForMore(ctx, environment, { live: printed && live, end: endOffset(window), pauseMs, signal });
  }
}

/**
 * Requests a copy of a remote log. A lost machine's log is gone, and after a restart a follower needs a copy near its
 * position.
 */
async function copyIfFarAhead(ctx: LogContext, id: string, environment: Environment, end: number): Promise<void> {
  const copiedEnd = baseOfRun(environment) + (knownEnd(environment)?.position ?? 0);
  const isOld = end > copiedEnd && ctx.clock.now() - (environment.log?.at ?? 0) > MOST_AGE_MS;
  if (isOld || end - copiedEnd > MOST_AHEAD) await wantCopies(ctx, id, environment, COPIED_EVERY_MS).catch(unlessBusy);
}

interface Pause {
  readonly live: LiveLogs | undefined;
  readonly end: number;
  readonly pauseMs: number;
  readonly signal: AbortSignal | undefined;
}

async function waitForMore(ctx: LogContext, environment: Environment, pause: Pause): Promise<void> {
  const { live, end, pauseMs, signal } = pause;
  const { uid, run } = environment;
  if (!live) return ctx.clock.sleep(pauseMs, signal);
  await live.waitFor(uid, run.n, end - baseOfRun(environment), pauseMs, signal);
}

async function waitForCopy(ctx: UserContext<"table" | "queue">, id: string, environment: Environment): Promise<void> {
  const now = ctx.clock.now();
  if (isCopied(environment, now - COPIED_EVERY_MS + 1)) return;
  try {
    await wantCopies(ctx, id, environment);
    await waitForEnvironment(ctx, id, (environment) => !environment || isCopied(environment, now), COPIED_EVERY_MS);
  } catch (error) {
    unlessBusy(error);
  }
}

async function wantCopies(
  ctx: UserContext<"table" | "queue">,
  id: string,
  environment: Environment,
  wantedMs = WANTED_MS,
): Promise<void> {
  const now = ctx.clock.now();
  if (!isPrinting(environment) || isLogWanted(environment, now + wantedMs / 2)) return;
  await changeEnvironment(ctx, id, (before) => ({ ...before, logWantedUntil: now + wantedMs }));
}

/** Ignores `unavailable`: other writers always won, so the latest copy has to do. */
function unlessBusy(error: unknown): void {
  if (!(error instanceof Problem && error.kind === "unavailable")) throw error;
}

function isCopied(environment: Environment, since: number): boolean {
  if (isPrinting(environment)) return (environment.log?.at ?? 0) >= since;
  const { phase, end, run } = environment;
  const isEnding = (phase === "active" || phase === "stopping") && end.outcome !== null && run.removedAt === null;
  return !isEnding || !lacksLastLog(environment);
}

export async function readKeptLog(ctx: UserContext<"table" | "blobs">, id: string): Promise<LogText> {
  const copy = await readCopy(ctx, id, () => true);
  return getText(copy, { after: 0, mostBytes: Number.POSITIVE_INFINITY }, copy.isCut);
}

function getText(window: Window, request: Pick<LogRequest, "after" | "mostBytes">, cut: boolean): LogText {
  const { isComplete } = window;
  const part = partOfWindow(window, { ...request, isComplete });
  const next = endOffset(part);
  const text = new TextDecoder("utf-8", { ignoreBOM: true }).decode(part.bytes);
  return { text, cut, next, ended: isComplete && next === endOffset(window) };
}
