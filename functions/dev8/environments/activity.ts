import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { touchEnvironment } from "#core/environments/verbs/touch.ts";
import { Problem } from "#core/problem.ts";
import { Timestamp } from "#http/answers/timestamp.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { ActivityReport, Snapshot, toReport } from "./internal/activity-report.ts";
import { getWorkspace, refusedAs, unknownWorkspace } from "./internal/workspace.ts";
import { exampleAnswer, exampleEnvironment, success, WorkspaceRef } from "./schemas.ts";

const Recorded = success(
  "Activity recorded successfully",
  z.object({
    environmentId: z.string().describe("The workspace's id."),
    snapshot: Snapshot.describe("What the client observed."),
    timestamp: Timestamp.describe("When the client observed this."),
  }),
).meta({ id: "EnvironmentActivityRecorded" });

const report = {
  snapshot: {
    lastIDEActivity: "2025-10-27T14:40:00Z",
    lastSSHActivity: "2025-10-27T14:35:00Z",
    activeIDEConnections: 1,
    activeSSHConnections: 0,
  },
  timestamp: "2025-10-27T14:40:00Z",
};

const route = createRoute({
  method: "post",
  path: "/api/v1/environments/{id}/activity",
  operationId: "reportEnvironmentActivity",
  tags: ["Environments"],
  summary: "Report that a workspace is in use",
  request: { params: WorkspaceRef, body: jsonBody(ActivityReport, { "Somebody works in it": report }) },
  parameters: [{ name: "id", in: "path", example: "clxxx-yyyy-zzzz-aaaa-bbbb" }],
  responses: {
    200: jsonReply(
      Recorded,
      exampleAnswer("What was taken", "Activity recorded successfully", {
        environmentId: exampleEnvironment.id,
        ...report,
      }),
    ),
  },
});

export const endpoint = dev8.endpoint(route, { uses: ["table"] }, async ({ ctx, params, body }) => {
  const { environmentId } = body;
  if (environmentId !== undefined && environmentId !== null && environmentId !== params.id) {
    throw new Problem("invalid", "environmentId in payload does not match route parameter");
  }
  const { lastUsedAt, ...reported } = toReport(body, ctx.clock.now());
  const { id } = await getWorkspace(ctx, params.id);
  if (lastUsedAt !== undefined) await refusedAs(unknownWorkspace(id), touchEnvironment(ctx, id, lastUsedAt));
  const data = { environmentId: id, ...reported };
  return { success: true as const, message: "Activity recorded successfully" as const, data };
});

export const handler = lambda(endpoint, { table });
