import * as z from "zod";
import { table } from "#aws/table.ts";
import { listEnvironments } from "#core/environments/record/read.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { lambda } from "#lambda/lambda.ts";
import { success, toWorkspace, Workspace } from "./wire.ts";

const Retrieved = success(
  "Environments retrieved successfully",
  z.object({ environments: z.array(Workspace), total: z.int() }),
);

export const endpoint = dev8.get(
  "/api/v1/environments",
  { summary: "List your workspaces, the newest first", uses: ["table"], reply: Retrieved },
  async ({ ctx }) => {
    const { shown } = await listEnvironments(ctx);
    const environments = shown.map((workspace) => toWorkspace(ctx.settings, workspace));
    const data = { environments, total: environments.length };
    return { success: true as const, message: "Environments retrieved successfully" as const, data };
  },
);

export const handler = lambda(endpoint, { table });
