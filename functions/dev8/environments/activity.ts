import * as z from "zod";
import { table } from "#aws/table.ts";
import { touchEnvironment } from "#core/environments/verbs/touch.ts";
import { Problem } from "#core/problem.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { Timestamp } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { ActivityReport, Snapshot, toReport } from "./parts/activity-report.ts";
import { refusedAs, unknownWorkspace, workspaceOf } from "./parts/workspace.ts";
import { success, WorkspaceRef } from "./wire.ts";

const Recorded = success(
  "Activity recorded successfully",
  z.object({ environmentId: z.string(), snapshot: Snapshot, timestamp: Timestamp }),
);

export const endpoint = dev8.post(
  "/api/v1/environments/{id}/activity",
  {
    summary: "Report that a workspace is in use",
    uses: ["table"],
    params: WorkspaceRef,
    body: ActivityReport,
    reply: Recorded,
  },
  async ({ ctx, params, body }) => {
    const { environmentId } = body;
    if (environmentId !== undefined && environmentId !== null && environmentId !== params.id) {
      throw new Problem("invalid", "environmentId in payload does not match route parameter");
    }
    const { lastUsedAt, ...reported } = toReport(body, ctx.clock.now());
    const { id } = await workspaceOf(ctx, params.id);
    if (lastUsedAt !== undefined) await refusedAs(unknownWorkspace(id), touchEnvironment(ctx, id, lastUsedAt));
    const data = { environmentId: id, ...reported };
    return { success: true as const, message: "Activity recorded successfully" as const, data };
  },
);

export const handler = lambda(endpoint, { table });
