import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { sessionOf } from "../sessions/wire.ts";
import { toWorkspace, Workspace, WorkspaceRef } from "./wire.ts";

export const endpoint = onmemos.get(
  "/v1/cloudrun/workspaces/{workspace_id}",
  { summary: "Read a workspace", uses: ["table"], params: WorkspaceRef, reply: Workspace },
  async ({ ctx, params }) => toWorkspace(ctx.settings, await sessionOf(ctx, params.workspace_id, "Workspace")),
);

export const handler = lambda(endpoint, { table });
