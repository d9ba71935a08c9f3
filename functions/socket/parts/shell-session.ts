import type { UserContext } from "#core/context.ts";
import { findEnvironment } from "#core/environments/record/read.ts";
import { type Environment, isEnded } from "#core/environments/record/record.ts";
import { shellWords } from "#core/environments/record/shell-words.ts";
import { type ExecRequest, type ExecResult, executeIn } from "#core/environments/verbs/exec.ts";
import { keyText } from "#core/keys.ts";
import { Problem } from "#core/problem.ts";
import { withoutKeys } from "#http/redaction.ts";
import type { Channel, Closing, SocketSession } from "#http/socket.ts";
import { type ClientFrame, fromFrame, goodbye, HOME, pong, toError, toResult, toWelcome } from "../wire.ts";

type ShellContext = UserContext<"table" | "queue" | "compute">;

const IDLE_MS = 600_000;
/** Beside a command's own time-out. */
const MARGIN_SECONDS = 30;
const TRIES = 3;
const PAUSE_MS = 500;

const gone: Closing = { code: 1001, reason: "The workspace has ended" };
const left: Closing = { code: 1000, reason: "Goodbye" };
const idle: Closing = { code: 1000, reason: "No command for 10 minutes" };

/** One connection to the shell: its commands run one after another, and each begins where the one before was left. */
export function shellSession(ctx: ShellContext, environment: Environment, channel: Channel): SocketSession {
  const { id, uid } = environment;
  let directory = HOME;
  let line: Promise<void> = Promise.resolve();
  let running = 0;
  let quietSince = ctx.clock.monotonic();
  let isOver = false;

  const close = (closing: Closing): void => {
    isOver = true;
    channel.close(closing);
  };
  const run = async ({ command, timeout }: ClientFrame & { type: "command" }): Promise<void> => {
    const result = await execute(ctx, id, {
      words: shellWords(command),
      directory,
      timeoutSeconds: timeout,
      execId: ctx.ids.uid(),
      capSeconds: timeout + MARGIN_SECONDS,
      readyWithinMs: 0,
    });
    directory = placeAfter(result, directory);
    for (const frame of toResult(command, result, directory)) channel.send(frame);
  };
  const obey = async (frame: ClientFrame): Promise<void> => {
    if (isOver) return;
    if (frame.type === "command") return run(frame);
    channel.send(goodbye);
    close(left);
  };
  const complain = (error: unknown): void => {
    const problem = error instanceof Problem ? error : undefined;
    if (!problem) ctx.log.error("shell failed", { error: withoutKeys(String(error)) });
    if (problem?.kind === "notFound") close(gone);
    else channel.send(toError(problem?.message ?? "Internal server error"));
  };
  const queue = (task: () => void | Promise<void>): Promise<void> => {
    running += 1;
    line = line
      .then(() => (isOver ? undefined : task()))
      .catch(complain)
      .finally(() => {
        running -= 1;
        quietSince = ctx.clock.monotonic();
      });
    return line;
  };

  channel.send(toWelcome(id));
  return {
    about: `${keyText(environment)}#${uid}`,
    receive: async (text) => {
      if (isPing(text)) return channel.send(pong);
      return queue(() => obey(fromFrame(text)));
    },
    look: async () => ((await findUsable(ctx, id, uid)) ? undefined : gone),
    overdue: () => (running === 0 && ctx.clock.monotonic() - quietSince > IDLE_MS ? idle : undefined),
    end: () => {
      isOver = true;
    },
  };
}

/** An outage that is over soon is not shown: under its id the command is run once however often it is asked for. */
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

/** The workspace while it can be entered, now or later; undefined: it is over, or another one has its name. */
export async function findUsable(ctx: ShellContext, id: string, uid?: string): Promise<Environment | undefined> {
  const environment = await findEnvironment(ctx, id);
  if (!environment || (uid !== undefined && environment.uid !== uid)) return undefined;
  return environment.end.outcome || environment.goal.desired !== "active" || isEnded(environment)
    ? undefined
    : environment;
}

/** A ping is answered at once, whatever runs. */
function isPing(text: string): boolean {
  try {
    return fromFrame(text).type === "ping";
  } catch {
    return false;
  }
}

/** A shell that could not even enter its directory, which somebody removed, begins at home again. */
function placeAfter({ directory, timedOut, returncode }: ExecResult, before: string): string {
  const neverBegan = directory === null && !timedOut && returncode > 0 && returncode < 124;
  return directory ?? (neverBegan ? HOME : before);
}
