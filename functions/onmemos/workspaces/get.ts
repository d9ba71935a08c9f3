import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getSession } from "../sessions/schemas.ts";
import { exampleWorkspace, toWorkspace, Workspace, WorkspaceRef } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/cloudrun/workspaces/{workspace_id}",
  operationId: "getWorkspace",
  tags: ["Workspaces"],
  summary: "Read a workspace",
  request: { params: WorkspaceRef },
  responses: { 200: jsonReply(Workspace, { "It runs": exampleWorkspace() }) },
});

export const endpoint = onmemos.endpoint(route, { uses: ["table"] }, async ({ ctx, params }) =>
  toWorkspace(ctx.settings, await getSession(ctx, params.workspace_id, "Workspace")),
);

export const handler = lambda(endpoint, { table });
