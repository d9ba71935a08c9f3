import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/request-compute.ts";
import { runIn, shellCommand } from "../commands/internal/run.ts";
import { ExecuteWorkspace, exampleResult, toCommandResult, WorkspaceResult } from "../commands/schemas.ts";
import { WorkspaceRef } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/cloudrun/workspaces/{workspace_id}/execute",
  operationId: "executeInWorkspace",
  tags: ["Workspaces"],
  summary: "Run a command in a workspace to its end",
  description: "The fields may come in the query, as a form or as JSON; the query goes first.",
  request: { params: WorkspaceRef, body: jsonBody(ExecuteWorkspace) },
  parameters: [
    { name: "command", in: "query", example: "pwd" },
    { name: "timeout", in: "query", example: 30 },
  ],
  responses: {
    200: jsonReply(WorkspaceResult, exampleResult("pwd", "/workspace\n")),
    500: problemReply("It failed to start, or was not ready in time"),
  },
});

export const endpoint = onmemos.endpoint(
  route,
  { uses: ["table", "queue", "compute"], form: true, pace: "execs" },
  async ({ ctx, params, body }) => {
    const named = { id: params.workspace_id, called: "Workspace" } as const;
    const result = await runIn(ctx, named, shellCommand(body.command, body.timeout));
    return { ...toCommandResult(result), workspace_id: named.id, command: body.command };
  },
);

export const handler = lambda(endpoint, { table, queue, compute });
