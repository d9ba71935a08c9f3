import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getWorkspace } from "./internal/workspace.ts";
import { exampleAnswer, exampleEnvironment, success, toWorkspace, Workspace, WorkspaceRef } from "./schemas.ts";

const Retrieved = success(
  "Environment retrieved successfully",
  z.object({ environment: Workspace.describe("The workspace in its current state.") }),
).meta({ id: "EnvironmentFound" });

const route = createRoute({
  method: "get",
  path: "/api/v1/environments/{id}",
  operationId: "getEnvironment",
  tags: ["Environments"],
  summary: "Read a workspace",
  request: { params: WorkspaceRef },
  responses: {
    200: jsonReply(
      Retrieved,
      exampleAnswer("It runs", "Environment retrieved successfully", { environment: exampleEnvironment }),
    ),
  },
});

export const endpoint = dev8.endpoint(route, { uses: ["table"] }, async ({ ctx, params }) => {
  const environment = toWorkspace(ctx.settings, await getWorkspace(ctx, params.id));
  return { success: true as const, message: "Environment retrieved successfully" as const, data: { environment } };
});

export const handler = lambda(endpoint, { table });
