import type { SocketMessage } from "#http/socket.ts";
import { resultFrames, toError } from "../schemas.ts";
import { pollShell, runCommand, type ShellContext } from "./shell-command.ts";
import { overdue, type ShellState, type ShellStep, takeFrame, takePoll } from "./shell-step.ts";

/** API Gateway meters and splits messages in units of this size ("API Gateway quotas"). */
const FRAME_BYTES = 32_768;
/** A result repeats its command, and API Gateway forwards at most 128 KB. */
const MESSAGE_BYTES = 98_304;
/** Below Lambda's limit of 900 s. */
const MOST_COMMAND_SECONDS = 840;

/** Handles one frame of a connection that a gateway keeps. A command runs under the message's id. */
export async function answerMessage(ctx: ShellContext, state: ShellState, message: SocketMessage): Promise<ShellStep> {
  const closing = overdue(state, message.sentAt);
  if (closing) return { state, frames: [], closing };
  const seen = takePoll(state, await pollShell(ctx, state));
  if (seen.closing) return seen;
  const step = await answerFrame(ctx, seen.state, message);
  return { ...step, frames: [...seen.frames, ...step.frames] };
}

async function answerFrame(ctx: ShellContext, state: ShellState, { text, id }: SocketMessage): Promise<ShellStep> {
  const now = () => ctx.clock.now();
  if (new TextEncoder().encode(text).length > MESSAGE_BYTES) {
    return { state: { ...state, usedAt: now() }, frames: [toError(`The frame is over ${MESSAGE_BYTES} bytes`)] };
  }
  const step = takeFrame(state, text, now());
  const { command } = step;
  if (!command) return step;
  const execId = id.toLowerCase();
  const after = await runCommand(ctx, step.state, command, { execId, now, mostSeconds: MOST_COMMAND_SECONDS });
  return { ...after, frames: after.frames.flatMap((frame) => resultFrames(frame, FRAME_BYTES)) };
}
