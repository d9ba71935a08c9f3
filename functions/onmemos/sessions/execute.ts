import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/request-compute.ts";
import { runIn, shellCommand } from "../commands/internal/run.ts";
import { CommandResult, ExecuteSession, toCommandResult } from "../commands/schemas.ts";
import { SessionRef } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/sessions/{session_id}/execute",
  operationId: "executeInSession",
  tags: ["Sessions"],
  summary: "Run a shell command in a session to its end",
  description: "Waits until the session runs, then for the command: 110 seconds in all.",
  request: {
    params: SessionRef,
    body: jsonBody(ExecuteSession, {
      "List files": { command: "ls -la", timeout: 120 },
      "Which Python": { command: "python --version", timeout: 30 },
    }),
  },
  responses: {
    200: jsonReply(CommandResult, {
      "A list of files": {
        stdout: "total 8\ndrwxr-xr-x 2 root root 4096 Aug 24 19:13 .\ndrwxr-xr-x 1 root root 4096 Aug 24 19:13 ..\n",
        stderr: "",
        returncode: 0,
        success: true,
      },
    }),
    404: problemReply("It does not exist, or another user owns it", {
      "No such session": { detail: "Session not found" },
    }),
    500: problemReply("It failed to start, or was not ready in time"),
  },
});

export const endpoint = onmemos.endpoint(
  route,
  { uses: ["table", "queue", "compute"], pace: "execs" },
  async ({ ctx, params, body }) => {
    const named = { id: params.session_id, called: "Session" } as const;
    return toCommandResult(await runIn(ctx, named, shellCommand(body.command, body.timeout)));
  },
);

export const handler = lambda(endpoint, { table, queue, compute });
