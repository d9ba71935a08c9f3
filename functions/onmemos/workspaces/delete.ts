import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { deleteSession } from "../sessions/schemas.ts";
import { WorkspaceRef } from "./schemas.ts";

const Deleted = z
  .object({ message: z.literal("Workspace deleted successfully").describe("What happened, in words.") })
  .meta({ id: "WorkspaceDeleted" });

const route = createRoute({
  method: "delete",
  path: "/v1/cloudrun/workspaces/{workspace_id}",
  operationId: "deleteWorkspace",
  tags: ["Workspaces"],
  summary: "Delete a workspace with its files",
  request: { params: WorkspaceRef },
  responses: { 200: jsonReply(Deleted, { Deleted: { message: "Workspace deleted successfully" } }) },
});

export const endpoint = onmemos.endpoint(route, { uses: ["table", "queue"] }, async ({ ctx, params }) => {
  await deleteSession(ctx, params.workspace_id, "Workspace");
  return { message: "Workspace deleted successfully" as const };
});

export const handler = lambda(endpoint, { table, queue });
