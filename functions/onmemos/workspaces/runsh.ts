import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { compute } from "#lambda/request-compute.ts";
import { runIn, shellCommand } from "../commands/parts/run.ts";
import { ExecuteWorkspace, toCommandResult, WorkspaceResult } from "../commands/wire.ts";
import { WorkspaceRef } from "./wire.ts";

export const endpoint = onmemos.post(
  "/v1/cloudrun/workspaces/{workspace_id}/runsh",
  {
    summary: "Run a shell script in a workspace to its end",
    uses: ["table", "queue", "compute"],
    params: WorkspaceRef,
    body: ExecuteWorkspace,
    form: true,
    reply: WorkspaceResult,
    pace: "execs",
  },
  async ({ ctx, params, body }) => {
    const named = { id: params.workspace_id, called: "Workspace" } as const;
    const result = await runIn(ctx, named, shellCommand(body.command, body.timeout));
    return { ...toCommandResult(result), workspace_id: named.id, command: body.command };
  },
);

export const handler = lambda(endpoint, { table, queue, compute });
