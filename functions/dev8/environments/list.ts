import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { listEnvironments } from "#core/environments/record/read.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { exampleAnswer, exampleEnvironment, success, toWorkspace, Workspace } from "./schemas.ts";

const Retrieved = success(
  "Environments retrieved successfully",
  z.object({
    environments: z.array(Workspace).describe("Your workspaces, newest first."),
    total: z.int().describe("Number of entries in all."),
  }),
).meta({ id: "EnvironmentList" });

const route = createRoute({
  method: "get",
  path: "/api/v1/environments",
  operationId: "listEnvironments",
  tags: ["Environments"],
  summary: "List your workspaces, the newest first",
  responses: {
    200: jsonReply(
      Retrieved,
      exampleAnswer("One workspace", "Environments retrieved successfully", {
        environments: [exampleEnvironment],
        total: 1,
      }),
    ),
  },
});

export const endpoint = dev8.endpoint(route, { uses: ["table"] }, async ({ ctx }) => {
  const { shown } = await listEnvironments(ctx);
  const environments = shown.map((workspace) => toWorkspace(ctx.settings, workspace));
  const data = { environments, total: environments.length };
  return { success: true as const, message: "Environments retrieved successfully" as const, data };
});

export const handler = lambda(endpoint, { table });
