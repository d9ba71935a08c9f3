import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { deleteSession } from "../sessions/parts/delete-session.ts";
import { WorkspaceRef } from "./wire.ts";

const Deleted = z.object({ message: z.literal("Workspace deleted successfully") });

export const endpoint = onmemos.delete(
  "/v1/cloudrun/workspaces/{workspace_id}",
  { summary: "Delete a workspace with its files", uses: ["table", "queue"], params: WorkspaceRef, reply: Deleted },
  async ({ ctx, params }) => {
    await deleteSession(ctx, params.workspace_id, "Workspace");
    return { message: "Workspace deleted successfully" as const };
  },
);

export const handler = lambda(endpoint, { table, queue });
