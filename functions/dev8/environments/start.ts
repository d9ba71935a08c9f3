import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { isStartedBy, requestStart } from "#core/environments/verbs/start.ts";
import { Problem } from "#core/problem.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { jsonBody, jsonReply, perDeployment, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkLines, StartWorkspace } from "./internal/fields.ts";
import { newRun } from "./internal/new-workspace.ts";
import { containerExists, findWorkspace, isToRun, refusedAs, waitUntilRunning } from "./internal/workspace.ts";
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

const Started = success(
  "Workspace started successfully",
  z.object({
    environment: Workspace.describe("The workspace in its current state."),
    message: z
      .string()
      .meta({ example: "Your workspace is now running with existing data" })
      .describe("What the result means, in words."),
  }),
).meta({ id: "EnvironmentStarted" });

const route = createRoute({
  method: "post",
  path: "/api/v1/environments/start",
  operationId: "startEnvironment",
  tags: ["Environments"],
  summary: "Start a stopped workspace with a new container on its volumes, and wait for it",
  description: "A new container on the same volumes. Waits for at most 25 seconds until it runs.",
  request: {
    body: jsonBody(perDeployment(StartWorkspace), {
      "With nothing secret": exampleSmallest,
      "The same again": {
        ...exampleWorkspace,
        codeServerPassword: "SecurePassword123!",
        githubToken: "ghp_xxxxxxxxxxxxxxxxxxxx",
      },
    }),
  },
  responses: {
    200: jsonReply(
      Started,
      exampleAnswer(
        "It runs",
        "Workspace started successfully",
        { environment: exampleEnvironment, message: "Your workspace is now running with existing data" },
        printedEnvironment((host) => `https://${host}`),
      ),
    ),
    400: problemReply(
      "A field is missing or has the wrong form",
      exampleProblem("A bad id", "Invalid Request", 400, "workspaceId must be a valid UUID"),
    ),
    404: problemReply(
      "Its volumes are not there",
      exampleProblem(
        "No volumes",
        "Resource Not Found",
        404,
        "workspace volume not found: fs-clxxx-yyyy-zzzz. Create environment first.",
      ),
    ),
    409: problemReply("It runs already"),
  },
});

export const endpoint = dev8.endpoint(
  route,
  { uses: ["table", "queue", "sealer"], creates: "uid", pace: "waits" },
  async ({ ctx, body, resource }) => {
    const { workspaceId: id } = body;
    const noVolume = new Problem("notFound", `workspace volume not found: fs-${id}. Create environment first.`);
    const knownWorkspace = await findWorkspace(ctx, body);
    if (!knownWorkspace || knownWorkspace.end.outcome) throw noVolume;
    if (!isStartedBy(knownWorkspace, resource.uid)) {
      if (knownWorkspace.phase !== "stopped" || knownWorkspace.goal.desired === "active") throw containerExists(id);
      checkLines(body, { name: knownWorkspace.name, userId: String(knownWorkspace.labels.userId) });
      const changes = newRun(ctx, body, knownWorkspace.labels);
      const started = await refusedAs(noVolume, requestStart(ctx, id, changes, { token: resource.uid }));
      if (!isStartedBy(started, resource.uid)) throw containerExists(id);
    }
    const workspace = await waitUntilRunning(ctx, id);
    if (!workspace) throw noVolume;
    const isReady = toStatus(workspace) === "RUNNING";
    const message = isToRun(workspace)
      ? `Your workspace is ${isReady ? "now running" : "starting"} with existing data`
      : "Your workspace was stopped meanwhile";
    const data = { environment: toWorkspace(ctx.settings, workspace), message };
    return { success: true as const, message: "Workspace started successfully" as const, data };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
