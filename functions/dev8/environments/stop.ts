import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { sealer } from "#aws/sealer.ts";
import { table } from "#aws/table.ts";
import { requestStop } from "#core/environments/stop.ts";
import { waitForEnvironment } from "#core/environments/wait.ts";
import { Problem } from "#core/problem.ts";
import { dev8 } from "#http/dialects/dev8.ts";
import { lambda } from "#lambda/lambda.ts";
import { NamedWorkspace } from "./parts/fields.ts";
import { findWorkspace, hasContainer, told } from "./parts/workspace.ts";
import { statusOf, success } from "./wire.ts";

const preserved = "Container deleted, volumes preserved. Restart anytime to resume work.";
const Stopped = success(
  "Workspace stopped successfully",
  z.object({ workspaceId: z.string(), message: z.literal(preserved) }),
);

export const endpoint = dev8.post(
  "/api/v1/environments/stop",
  {
    summary: "Remove the container of a workspace and its secrets: its volumes are kept",
    uses: ["table", "queue", "sealer"],
    body: NamedWorkspace,
    reply: Stopped,
    creates: "uid",
    pace: "waits",
  },
  async ({ ctx, body, thing }) => {
    const { workspaceId } = body;
    const noContainer = new Problem("notFound", `container not found for workspace ${workspaceId}. Already stopped?`);
    const known = await findWorkspace(ctx, body);
    // Asked for by the request that this one repeats.
    const isAsked = thing.isRepeat && known?.goal.desired === "stopped" && !known.end.outcome;
    if (!isAsked) {
      if (!known || !hasContainer[statusOf(known)]) throw noContainer;
      await told(noContainer, requestStop(ctx, workspaceId, { reason: "Stopped by its owner" }));
    }
    await waitForEnvironment(ctx, workspaceId, (seen) => !seen || (seen.phase === "stopped" && seen.spec === null));
    const data = { workspaceId, message: preserved } as const;
    return { success: true as const, message: "Workspace stopped successfully" as const, data };
  },
);

export const handler = lambda(endpoint, { table, queue, sealer });
