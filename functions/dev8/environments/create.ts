import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { jsonBody, jsonReply, perDeployment, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { CreateWorkspace } from "./internal/fields.ts";
import { makeWorkspace } from "./internal/make-workspace.ts";
import { isToRun } from "./internal/workspace.ts";
import {
  exampleAnswer,
  exampleEnvironment,
  exampleProblem,
  exampleSmallest,
  exampleWorkspace,
  printedEnvironment,
  success,
  toStatus,
  toWorkspace,
  Workspace,
} from "./schemas.ts";

const Created = success(
  "Workspace created successfully",
  z.object({
    environment: Workspace.describe("The workspace in its current state."),
    message: z
      .string()
      .meta({ example: "Your development environment is ready to use" })
      .describe("What the result means, in words."),
  }),
).meta({ id: "EnvironmentCreated" });

const route = createRoute({
  method: "post",
  path: "/api/v1/environments",
  operationId: "createEnvironment",
  tags: ["Environments"],
  summary: "Create a workspace under an id of your choice, and wait for it",
  description: "Waits at most 25 seconds until it runs, and answers with its current state.",
  request: {
    body: jsonBody(perDeployment(CreateWorkspace), {
      "The least that is needed": exampleSmallest,
      "A small Node workspace": { ...exampleWorkspace, cloudProvider: "AZURE" },
      "With secrets of its own": {
        ...exampleWorkspace,
        cloudProvider: "AZURE",
        githubToken: "ghp_xxxxxxxxxxxxxxxxxxxx",
        codeServerPassword: "SecurePassword123!",
        sshPublicKey: "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQC...",
        gitUserName: "John Doe",
        gitUserEmail: "john@example.com",
        anthropicApiKey: "sk-ant-xxxxxxxxxxxx",
        openaiApiKey: "sk-xxxxxxxxxxxx",
        geminiApiKey: "AIzaxxxxxxxxxx",
      },
    }),
  },
  responses: {
    201: jsonReply(
      Created,
      exampleAnswer(
        "It runs",
        "Workspace created successfully",
        { environment: exampleEnvironment, message: "Your development environment is ready to use" },
        printedEnvironment((host) => `http://${host}:8080`),
      ),
      "Created",
    ),
    400: problemReply(
      "A field is missing or has the wrong form",
      exampleProblem("A bad id", "Invalid Request", 400, "workspaceId must be a valid UUID"),
    ),
    409: problemReply("The id is in use"),
  },
});

export const endpoint = dev8.endpoint(
  route,
  { uses: ["table", "queue", "sealer"], creates: "uid", pace: "waits" },
  async ({ ctx, body, resource }) => {
    const workspace = await makeWorkspace(ctx, body, resource);
    const isReady = toStatus(workspace) === "RUNNING";
    const state = isReady ? "is ready to use" : "is being prepared";
    const message = `Your development environment ${isToRun(workspace) ? state : "was stopped meanwhile"}`;
    const data = { environment: toWorkspace(ctx.settings, workspace), message };
    return { success: true as const, message: "Workspace created successfully" as const, data };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
