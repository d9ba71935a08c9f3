import * as z from "zod";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { lambda } from "#lambda/lambda.ts";
import { CreateWorkspace } from "./parts/fields.ts";
import { makeWorkspace } from "./parts/make-workspace.ts";
import { isToRun } from "./parts/workspace.ts";
import { statusOf, success, toWorkspace, Workspace } from "./wire.ts";

const Created = success(
  "Workspace created successfully",
  z.object({
    environment: Workspace,
    message: z.string().meta({ example: "Your development environment is ready to use" }),
  }),
);

export const endpoint = dev8.post(
  "/api/v1/environments",
  {
    summary: "Create a workspace under an id of your choice, and wait for it",
    uses: ["table", "queue", "sealer"],
    body: CreateWorkspace,
    reply: Created,
    status: 201,
    creates: "uid",
    pace: "waits",
  },
  async ({ ctx, body, resource }) => {
    const workspace = await makeWorkspace(ctx, body, resource);
    const isReady = statusOf(workspace) === "RUNNING";
    const state = isReady ? "is ready to use" : "is being prepared";
    const message = `Your development environment ${isToRun(workspace) ? state : "was stopped meanwhile"}`;
    const data = { environment: toWorkspace(ctx.settings, workspace), message };
    return { success: true as const, message: "Workspace created successfully" as const, data };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
