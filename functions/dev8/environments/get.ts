import * as z from "zod";
import { table } from "#aws/table.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { lambda } from "#lambda/lambda.ts";
import { workspaceOf } from "./parts/workspace.ts";
import { success, toWorkspace, Workspace, WorkspaceRef } from "./wire.ts";

const Retrieved = success("Environment retrieved successfully", z.object({ environment: Workspace }));

export const endpoint = dev8.get(
  "/api/v1/environments/{id}",
  { summary: "Read a workspace", uses: ["table"], params: WorkspaceRef, reply: Retrieved },
  async ({ ctx, params }) => {
    const environment = toWorkspace(ctx.settings, await workspaceOf(ctx, params.id));
    return { success: true as const, message: "Environment retrieved successfully" as const, data: { environment } };
  },
);

export const handler = lambda(endpoint, { table });
