import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { waitForEnvironment } from "#core/environments/record/wait.ts";
import { isStoppedBy, requestStop } from "#core/environments/verbs/stop.ts";
import { Problem } from "#core/problem.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { jsonBody, jsonReply, perDeployment, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { NamedWorkspace } from "./internal/fields.ts";
import { findWorkspace, hasContainer, isToRun, refusedAs } from "./internal/workspace.ts";
import { exampleAnswer, exampleEnvironment, exampleProblem, success, toStatus } from "./schemas.ts";

const preserved = "Container deleted, volumes preserved. Restart anytime to resume work.";
const Stopped = success(
  "Workspace stopped successfully",
  z.object({
    workspaceId: z
      .string()
      .describe("The workspace's id: your own choice of 10 to 63 letters, digits, hyphens and underscores."),
    message: z.literal(preserved).describe("What the result means, in words."),
  }),
).meta({ id: "EnvironmentStopped" });

const route = createRoute({
  method: "post",
  path: "/api/v1/environments/stop",
  operationId: "stopEnvironment",
  tags: ["Environments"],
  summary: "Remove the container of a workspace and its secrets: its volumes are kept",
  request: {
    body: jsonBody(perDeployment(NamedWorkspace), {
      "This one": { workspaceId: "test-workspace-001", cloudRegion: "centralindia" },
      "Another one": { workspaceId: exampleEnvironment.id, cloudRegion: "centralindia" },
    }),
  },
  responses: {
    200: jsonReply(
      Stopped,
      exampleAnswer("It is stopped", "Workspace stopped successfully", {
        workspaceId: exampleEnvironment.id,
        message: "Container deleted, volumes preserved. Restart anytime to resume work.",
      }),
    ),
    404: problemReply(
      "You have no such workspace in this region",
      exampleProblem(
        "Stopped already",
        "Resource Not Found",
        404,
        "container not found for workspace clxxx-yyyy-zzzz. Already stopped?",
      ),
    ),
  },
});

export const endpoint = dev8.endpoint(
  route,
  { uses: ["table", "queue", "sealer"], creates: "uid", pace: "waits" },
  async ({ ctx, body, resource }) => {
    const { workspaceId } = body;
    const noContainer = new Problem("notFound", `container not found for workspace ${workspaceId}. Already stopped?`);
    const knownWorkspace = await findWorkspace(ctx, body);
    const isAsked =
      knownWorkspace !== undefined &&
      !knownWorkspace.end.outcome &&
      (isStoppedBy(knownWorkspace, resource.uid) || (resource.isRepeat && knownWorkspace.goal.desired === "stopped"));
    if (!isAsked) {
      if (!knownWorkspace || !hasContainer[toStatus(knownWorkspace)]) throw noContainer;
      const stop = requestStop(ctx, workspaceId, { reason: "Stopped by its owner", token: resource.uid });
      await refusedAs(noContainer, stop);
    }
    const isDone = (seen: Environment) => isToRun(seen) || (seen.phase === "stopped" && seen.spec === null);
    await waitForEnvironment(ctx, workspaceId, (seen) => !seen || isDone(seen));
    const data = { workspaceId, message: preserved } as const;
    return { success: true as const, message: "Workspace stopped successfully" as const, data };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
