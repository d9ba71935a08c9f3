import type { UserContext } from "../../context.ts";
import type { ExecStatus } from "../../ports/exec.ts";
import { Problem, RunGone } from "../../problem.ts";
import { findEnvironment, getEnvironment } from "../record/read.ts";
import { type Environment, isEnded } from "../record/record.ts";
import { waitForEnvironment } from "../record/wait.ts";
import { markBusy } from "./touch.ts";

export interface ExecRequest {
  /** Passed to the process without a shell; `splitShellCommand` converts a shell command. */
  readonly words: readonly string[];
  readonly stdin?: string;
  readonly directory?: string | undefined;
  readonly timeoutSeconds: number;
  /** Requests with the same id run the command once and share its result. */
  readonly execId?: string;
  readonly capSeconds?: number;
  readonly readyWithinMs?: number;
}

export interface ExecResult {
  readonly stdout: string;
  readonly stderr: string;
  readonly returncode: number;
  readonly timedOut: boolean;
  readonly timeoutSeconds: number;
  readonly directory: string | null;
}

type ExecContext = UserContext<"table" | "queue" | "compute">;

/** Allowed delay of a command, and of the idle check that must see its mark. */
const BUSY_MARGIN_MS = 60_000;
const READ_MS = 4_000;
/** How long to wait for a result after the time-out of a command. */
const LATE_MS = 10_000;
const PAUSE_MS = 50;
/** Pause after a failed read. */
const FAILED_PAUSE_MS = 1_000;
const RETRY_SECONDS = 5;

/**
 * Waits until the environment is active, then runs a command within the cap (docs/apis/common.md#calls-that-wait).
 * Throws `notFound` if it is over, `failed` if it is not ready in time, `invalid` for a NUL character.
 */
export async function executeIn(ctx: ExecContext, id: string, request: ExecRequest): Promise<ExecResult> {
  refuseNul(request);
  const begunAt = ctx.clock.monotonic();
  const capMs = (request.capSeconds ?? ctx.settings.execCapSeconds) * 1000;
  await waitUntilActive(ctx, id, request.readyWithinMs ?? capMs - 1_000);
  const leftMs = capMs - (ctx.clock.monotonic() - begunAt);
  const timeoutSeconds = Math.max(1, Math.min(request.timeoutSeconds, Math.ceil(leftMs / 1000)));
  const until = ctx.clock.now() + timeoutSeconds * 1000 + BUSY_MARGIN_MS;
  const environment = refuseUnlessActive(ctx, await markBusy(ctx, id, until));
  const execId = request.execId ?? ctx.ids.uid();
  await start(ctx, environment, execId, request, timeoutSeconds);
  const status = await readUntilEnded(ctx, environment, execId, timeoutSeconds);
  return toResult(status, timeoutSeconds, await wordsOfEnd(ctx, environment, status));
}

async function waitUntilActive(ctx: ExecContext, id: string, budgetMs: number): Promise<void> {
  const settled = (it: Environment | undefined) => !it || isUsable(it) || isOver(it);
  const environment = await waitForEnvironment(ctx, id, settled, budgetMs);
  if (!environment) await getEnvironment(ctx, id);
  else refuseUnlessActive(ctx, environment);
}

function refuseUnlessActive(ctx: ExecContext, environment: Environment): Environment {
  if (isUsable(environment)) return environment;
  const noun = `${ctx.noun.slice(0, 1).toUpperCase()}${ctx.noun.slice(1)}`;
  const {
    end: { outcome },
    run: { error: broken, startedAt },
  } = environment;
  if (startedAt === null && (outcome?.phase === "failed" || broken !== null)) {
    throw new Problem("failed", `${noun} failed to start: ${broken ?? outcome?.reason ?? "no reason was given"}`);
  }
  if (isOver(environment)) throw new Problem("notFound", `${noun} ${environment.id} not found`);
  throw new Problem("failed", `${noun} is not ready yet`, {
    retryAfterSeconds: RETRY_SECONDS,
    errorCode: "unavailable",
  });
}

function isUsable({ phase, goal: { desired }, end: { outcome } }: Environment): boolean {
  return phase === "active" && desired === "active" && outcome === null;
}

function isOver(environment: Environment): boolean {
  return environment.end.outcome !== null || environment.goal.desired !== "active" || isEnded(environment);
}

async function start(
  ctx: ExecContext,
  { id, uid, run: { n: run } }: Environment,
  execId: string,
  { words, stdin = "", directory }: ExecRequest,
  timeoutSeconds: number,
): Promise<void> {
  const exec = { id: execId, words, stdin, env: {}, directory, timeoutMs: timeoutSeconds * 1000 };
  try {
    await ctx.compute.startExec(uid, run, exec);
  } catch (error) {
    if (!(error instanceof RunGone)) throw error;
    // The record may lag behind: the run is gone, so treat the environment as stopping.
    refuseUnlessActive(ctx, { ...(await getEnvironment(ctx, id)), phase: "stopping" });
  }
}

/**
 * Returns undefined if the run is gone, and its output with it. Failed reads are repeated for as long as the command
 * may run, since its answer exists nowhere else: a command that uses up the processes of its environment leaves none
 * for a read, and a cluster may be unreachable for a time. Throws if one fails after that.
 */
async function readUntilEnded(
  ctx: ExecContext,
  { uid, run: { n: run } }: Environment,
  execId: string,
  timeoutSeconds: number,
): Promise<ExecStatus | undefined> {
  const deadline = ctx.clock.monotonic() + timeoutSeconds * 1000 + LATE_MS;
  for (;;) {
    const askedAt = ctx.clock.monotonic();
    // Read once more past the deadline: a paused caller has not yet seen how the command ended.
    const isLast = askedAt > deadline;
    const read = ctx.compute.readExec(uid, run, execId, isLast ? 0 : READ_MS);
    const status = await read.catch((error: unknown) => {
      if (askedAt > deadline - LATE_MS) throw error;
      return "unknown" as const;
    });
    if (status === "unknown") {
      await ctx.clock.sleep(FAILED_PAUSE_MS);
      continue;
    }
    if (status?.state !== "running") return status;
    if (isLast) return { ...status, timedOut: true };
    if (ctx.clock.monotonic() - askedAt < PAUSE_MS) await ctx.clock.sleep(PAUSE_MS);
  }
}

/** Returns a message if the environment ended first. A signal's sender is unknown, so the record decides. */
async function wordsOfEnd(
  ctx: ExecContext,
  { uid, run: { n: run }, id }: Environment,
  status: ExecStatus | undefined,
): Promise<string | undefined> {
  const words = `The ${ctx.noun} ended before the command did`;
  if (!status) return words;
  if (status.timedOut || (status.exitCode ?? 0) <= SIGNALLED) return undefined;
  const now = await findEnvironment(ctx, id);
  return now?.uid === uid && now.run.n === run && isUsable(now) ? undefined : words;
}

/** Exit codes above this are 128 plus a signal number (POSIX, Shell Command Language, 2.8.2). */
const SIGNALLED = 128;
const KILLED = 137;
const TIMED_OUT = 124;

function toResult(status: ExecStatus | undefined, timeoutSeconds: number, end: string | undefined): ExecResult {
  if (!status) {
    return { stdout: "", stderr: end ?? "", returncode: KILLED, timedOut: false, timeoutSeconds, directory: null };
  }
  const { timedOut, directory } = status;
  const cut = "[output truncated]";
  const stderr = [
    ...(status.stderrCut ? [cut] : []),
    ...(timedOut ? [`Command timed out after ${timeoutSeconds}s`] : []),
    ...(end === undefined ? [] : [end]),
  ];
  return {
    stdout: withLines(status.stdout, status.stdoutCut ? [cut] : []),
    stderr: withLines(status.stderr, stderr),
    returncode: timedOut ? TIMED_OUT : (status.exitCode ?? KILLED),
    timedOut,
    timeoutSeconds,
    directory,
  };
}

function withLines(text: string, lines: readonly string[]): string {
  return lines.reduce((all, line) => `${all}${all === "" || all.endsWith("\n") ? "" : "\n"}${line}`, text);
}

function refuseNul({ words, directory }: ExecRequest): void {
  if ([...words, directory ?? ""].some((text) => text.includes("\0"))) {
    throw new Problem("invalid", "The command must not hold a NUL character");
  }
}
