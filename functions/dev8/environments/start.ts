import * as z from "zod";
import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { isStartedBy, requestStart } from "#core/environments/verbs/start.ts";
import { Problem } from "#core/problem.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkLines, StartWorkspace } from "./parts/fields.ts";
import { newRun } from "./parts/new-workspace.ts";
import { containerExists, findWorkspace, isToRun, refusedAs, waitUntilRunning } from "./parts/workspace.ts";
import { statusOf, success, toWorkspace, Workspace } from "./wire.ts";

const Started = success(
  "Workspace started successfully",
  z.object({
    environment: Workspace,
    message: z.string().meta({ example: "Your workspace is now running with existing data" }),
  }),
);

export const endpoint = dev8.post(
  "/api/v1/environments/start",
  {
    summary: "Start a stopped workspace with a new container on its volumes, and wait for it",
    uses: ["table", "queue", "sealer"],
    body: StartWorkspace,
    reply: Started,
    creates: "uid",
    pace: "waits",
  },
  async ({ ctx, body, resource }) => {
    const { workspaceId: id } = body;
    const noVolume = new Problem("notFound", `workspace volume not found: fs-${id}. Create environment first.`);
    const known = await findWorkspace(ctx, body);
    if (!known || known.end.outcome) throw noVolume;
    if (!isStartedBy(known, resource.uid)) {
      if (known.phase !== "stopped" || known.goal.desired === "active") throw containerExists(id);
      checkLines(body, { name: known.name, userId: String(known.labels.userId) });
      const changes = newRun(ctx, body, known.labels);
      const started = await refusedAs(noVolume, requestStart(ctx, id, changes, { token: resource.uid }));
      // A run that another request started runs something else.
      if (!isStartedBy(started, resource.uid)) throw containerExists(id);
    }
    const workspace = await waitUntilRunning(ctx, id);
    if (!workspace) throw noVolume;
    const isReady = statusOf(workspace) === "RUNNING";
    const message = isToRun(workspace)
      ? `Your workspace is ${isReady ? "now running" : "starting"} with existing data`
      : "Your workspace was stopped meanwhile";
    const data = { environment: toWorkspace(ctx.settings, workspace), message };
    return { success: true as const, message: "Workspace started successfully" as const, data };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
