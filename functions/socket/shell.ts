import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { socketGateway } from "#aws/socket-gateway.ts";
import { queue } from "#aws/sqs/queue.ts";
import { Problem } from "#core/problem.ts";
import { onmemosDialect } from "#http/dialects/onmemos.ts";
import { type SocketMessage, socketIn } from "#http/socket.ts";
import { compute } from "#lambda/request-compute.ts";
import { socketLambda } from "#lambda/socket.ts";
import { isSessionId } from "../onmemos/sessions/schemas.ts";
import { findUsable, pollShell, runCommand, type ShellContext } from "./internal/shell-command.ts";
import { shellSession } from "./internal/shell-session.ts";
import { beginShell, overdue, type ShellState, type ShellStep, takeFrame, takePoll } from "./internal/shell-step.ts";
import { resultFrames, toError } from "./schemas.ts";

/** API Gateway meters and splits messages in units of this size ("API Gateway quotas"). */
const FRAME_BYTES = 32_768;

/** A result repeats its command, and API Gateway forwards at most 128 KB. */
const MESSAGE_BYTES = 98_304;

/** Below Lambda's limit of 900 s. */
const MOST_COMMAND_SECONDS = 840;

export const socket = socketIn(onmemosDialect)(
  "/v1/cloudrun/workspaces/{workspace_id}/shell",
  {
    uses: ["table", "queue", "compute"],
    params: z.object({ workspace_id: z.string() }),
    timeoutSeconds: 900,
  },
  {
    async begin({ ctx, params }) {
      const { workspace_id: id } = params;
      const environment = isSessionId(id) ? await findUsable(ctx, id) : undefined;
      if (!environment) throw new Problem("notFound", "Workspace not found");
      return beginShell(environment, ctx.clock.now());
    },
    open: shellSession,
    answer: answerMessage,
  },
);

export const handler = socketLambda(socket, { table, queue, compute }, socketGateway);

/** Handles one frame of a connection that a gateway keeps. A command runs under the message's id. */
async function answerMessage(ctx: ShellContext, state: ShellState, message: SocketMessage): Promise<ShellStep> {
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
