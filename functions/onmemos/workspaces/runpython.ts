import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/request-compute.ts";
import { pythonProgram, runIn } from "../commands/parts/run.ts";
import { RunPython, toCommandResult, WorkspaceResult } from "../commands/wire.ts";
import { WorkspaceRef } from "./wire.ts";

export const endpoint = onmemos.post(
  "/v1/cloudrun/workspaces/{workspace_id}/runpython",
  {
    summary: "Run a Python program in a workspace to its end",
    uses: ["table", "queue", "compute"],
    params: WorkspaceRef,
    body: RunPython,
    form: true,
    reply: WorkspaceResult,
    pace: "execs",
  },
  async ({ ctx, params, body }) => {
    const named = { id: params.workspace_id, called: "Workspace" } as const;
    const result = await runIn(ctx, named, pythonProgram(body.code, body.timeout));
    return { ...toCommandResult(result), workspace_id: named.id, command: body.code };
  },
);

export const handler = lambda(endpoint, { table, queue, compute });
