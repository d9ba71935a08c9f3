import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/request-compute.ts";
import { pythonProgram, runIn } from "../commands/internal/run.ts";
import { exampleResult, RunPython, toCommandResult, WorkspaceResult } from "../commands/schemas.ts";
import { WorkspaceRef } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/cloudrun/workspaces/{workspace_id}/runpython",
  operationId: "runPythonInWorkspace",
  tags: ["Workspaces"],
  summary: "Run a Python program in a workspace to its end",
  description: "The fields may come in the query, as a form or as JSON; the query goes first.",
  request: { params: WorkspaceRef, body: jsonBody(RunPython) },
  parameters: [{ name: "code", in: "query", example: 'print("Hello World")' }],
  responses: {
    200: jsonReply(WorkspaceResult, exampleResult('print("Hello World")', "Hello World\n")),
    500: problemReply("It failed to start, or was not ready in time"),
  },
});

export const endpoint = onmemos.endpoint(
  route,
  { uses: ["table", "queue", "compute"], form: true, pace: "execs" },
  async ({ ctx, params, body }) => {
    const named = { id: params.workspace_id, called: "Workspace" } as const;
    const result = await runIn(ctx, named, pythonProgram(body.code, body.timeout));
    return { ...toCommandResult(result), workspace_id: named.id, command: body.code };
  },
);

export const handler = lambda(endpoint, { table, queue, compute });
