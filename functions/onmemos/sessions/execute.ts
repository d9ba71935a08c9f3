import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/request-compute.ts";
import { runIn, shellCommand } from "../commands/parts/run.ts";
import { CommandResult, ExecuteSession, toCommandResult } from "../commands/wire.ts";
import { SessionRef } from "./wire.ts";

export const endpoint = onmemos.post(
  "/v1/sessions/{session_id}/execute",
  {
    summary: "Run a shell command in a session to its end",
    uses: ["table", "queue", "compute"],
    params: SessionRef,
    body: ExecuteSession,
    reply: CommandResult,
    pace: "execs",
  },
  async ({ ctx, params, body }) => {
    const named = { id: params.session_id, called: "Session" } as const;
    return toCommandResult(await runIn(ctx, named, shellCommand(body.command, body.timeout)));
  },
);

export const handler = lambda(endpoint, { table, queue, compute });
