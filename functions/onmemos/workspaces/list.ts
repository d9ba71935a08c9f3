import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { ListQuery, listSessions } from "../sessions/schemas.ts";
import { exampleWorkspace, toWorkspace, Workspace } from "./schemas.ts";

const Workspaces = z
  .object({
    workspaces: z.array(Workspace).describe("Your workspaces, newest first."),
    count: z.int().describe("Number of entries in the list."),
  })
  .meta({ id: "WorkspaceList" });

const route = createRoute({
  method: "get",
  path: "/v1/cloudrun/workspaces",
  operationId: "listWorkspaces",
  tags: ["Workspaces"],
  summary: "List your workspaces, the newest first",
  request: { query: ListQuery },
  parameters: [
    { name: "namespace", in: "query", example: "my-project" },
    { name: "user", in: "query", example: "developer" },
  ],
  responses: { 200: jsonReply(Workspaces, { "One workspace": { workspaces: [exampleWorkspace()], count: 1 } }) },
});

export const endpoint = onmemos.endpoint(route, { uses: ["table"] }, async ({ ctx, query }) => {
  const found = await listSessions(ctx, query);
  return { workspaces: found.map((workspace) => toWorkspace(ctx.settings, workspace)), count: found.length };
});

export const handler = lambda(endpoint, { table });
