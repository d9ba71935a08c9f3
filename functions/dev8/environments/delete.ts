import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { waitForEnvironment } from "#core/environments/record/wait.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { Problem } from "#core/problem.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { jsonBody, jsonReply, perDeployment, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { DeleteWorkspace } from "./internal/fields.ts";
import { findWorkspace, hasContainer, refusedAs, unknownWorkspace } from "./internal/workspace.ts";
import { exampleAnswer, exampleEnvironment, exampleProblem, success, toStatus } from "./schemas.ts";

const removed = "All data and resources have been permanently removed";
const Deleted = success(
  "Workspace deleted permanently",
  z.object({
    workspaceId: z
      .string()
      .describe("The workspace's id: your own choice of 10 to 63 letters, digits, hyphens and underscores."),
    message: z.literal(removed).describe("What the result means, in words."),
  }),
).meta({ id: "EnvironmentDeleted" });

const route = createRoute({
  method: "delete",
  path: "/api/v1/environments",
  operationId: "deleteEnvironment",
  tags: ["Environments"],
  summary: "Delete a workspace with its volumes; one that runs only by force",
  request: {
    body: jsonBody(perDeployment(DeleteWorkspace), {
      "With all its files": { workspaceId: exampleEnvironment.id, cloudRegion: "centralindia", force: false },
      "Although it runs": { workspaceId: exampleEnvironment.id, cloudRegion: "centralindia", force: true },
    }),
  },
  responses: {
    200: jsonReply(
      Deleted,
      exampleAnswer("It is gone", "Workspace deleted permanently", {
        workspaceId: exampleEnvironment.id,
        message: "All data and resources have been permanently removed",
      }),
    ),
    404: problemReply("You have no such workspace in this region"),
    409: problemReply(
      "It runs, and `force` was not said",
      exampleProblem(
        "It runs",
        "Conflict",
        409,
        `workspace ${exampleEnvironment.id} is still running. Stop it first or use force=true`,
      ),
    ),
  },
});

export const endpoint = dev8.endpoint(route, { uses: ["table", "queue"], pace: "waits" }, async ({ ctx, body }) => {
  const { workspaceId, force } = body;
  const unknown = unknownWorkspace(workspaceId);
  const knownWorkspace = await findWorkspace(ctx, body);
  if (!knownWorkspace) throw unknown;
  const status = toStatus(knownWorkspace);
  if (!force && (hasContainer[status] || status === "STOPPING")) {
    const why = `workspace ${workspaceId} is still running. Stop it first or use force=true`;
    throw new Problem("conflict", why);
  }
  await refusedAs(unknown, requestDelete(ctx, workspaceId));
  await waitForEnvironment(ctx, workspaceId, (seen) => seen === undefined);
  const data = { workspaceId, message: removed } as const;
  return { success: true as const, message: "Workspace deleted permanently" as const, data };
});

export const handler = lambda(endpoint, { table, queue });
