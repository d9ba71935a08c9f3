import type { UserContext } from "#core/context.ts";
import { findEnvironment } from "#core/environments/record/read.ts";
import { type Environment, isEnded } from "#core/environments/record/record.ts";
import { splitShellCommand } from "#core/environments/record/shell-words.ts";
import { endMessage, findNewestNotice } from "#core/environments/steps/notices.ts";
import { type ExecRequest, type ExecResult, executeIn } from "#core/environments/verbs/exec.ts";
import { Problem } from "#core/problem.ts";
import { withoutKeys } from "#http/request/redaction.ts";
import type { PollResult } from "#http/socket.ts";
import {
  gone,
  type ShellCommand,
  type ShellState,
  type ShellStep,
  takeFailure,
  takePoll,
  takeResult,
} from "./shell-step.ts";

export type ShellContext = UserContext<"table" | "queue" | "compute">;

interface CommandOptions {
  readonly execId: string;
  now(): number;
  readonly mostSeconds?: number;
}

const MARGIN_SECONDS = 30;
const TRIES = 3;
const PAUSE_MS = 500;

export async function runCommand(
  ctx: ShellContext,
  state: ShellState,
  { command, timeout }: ShellCommand,
  { execId, now, mostSeconds = timeout }: CommandOptions,
): Promise<ShellStep> {
  const timeoutSeconds = Math.min(timeout, mostSeconds);
  try {
    const result = await execute(ctx, state.id, {
      words: splitShellCommand(command),
      directory: state.directory,
      timeoutSeconds,
      execId,
      capSeconds: timeoutSeconds + MARGIN_SECONDS,
      readyWithinMs: 0,
    });
    return takeResult(state, command, result, now());
  } catch (error) {
    if (!(error instanceof Problem)) ctx.log.error("shell failed", { error: withoutKeys(String(error)) });
    const step = takeFailure(state, error, now());
    return step.closing ? withReason(ctx, step) : step;
  }
}

/** Adds why the workspace is over. An outage does not delay the end of a connection. */
async function withReason(ctx: ShellContext, step: ShellStep): Promise<ShellStep> {
  const found = await pollShell(ctx, step.state).catch(() => undefined);
  return found?.closing ? takePoll(step.state, found) : step;
}

/** Retries short outages: the id makes the command run only once. */
async function execute(ctx: ShellContext, id: string, request: ExecRequest): Promise<ExecResult> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await executeIn(ctx, id, request);
    } catch (error) {
      if (error instanceof Problem || tries >= TRIES) throw error;
      await ctx.clock.sleep(PAUSE_MS);
    }
  }
}

export async function findUsable(ctx: ShellContext, id: string): Promise<Environment | undefined> {
  const environment = await findEnvironment(ctx, id);
  return environment && !isOver(environment) ? environment : undefined;
}

/** The end comes after all other notices. */
const LAST = Number.MAX_SAFE_INTEGER;

export async function pollShell(ctx: ShellContext, { id, uid }: Pick<ShellState, "id" | "uid">): Promise<PollResult> {
  const environment = await findEnvironment(ctx, id);
  // Another workspace may have this id now.
  if (environment?.uid !== uid) return { notice: { n: LAST, words: `This ${ctx.noun} has ended` }, closing: gone };
  if (isOver(environment)) return { notice: { n: LAST, words: endMessage(environment, ctx.noun) }, closing: gone };
  const notice = findNewestNotice(environment);
  return notice ? { notice } : {};
}

function isOver(environment: Environment): boolean {
  const { end, goal } = environment;
  return end.outcome !== null || goal.desired !== "active" || isEnded(environment);
}
