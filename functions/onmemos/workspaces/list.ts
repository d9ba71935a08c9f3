import * as z from "zod";
import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { listSessions } from "../sessions/parts/list-sessions.ts";
import { ListQuery } from "../sessions/wire.ts";
import { toWorkspace, Workspace } from "./wire.ts";

const Workspaces = z.object({ workspaces: z.array(Workspace), count: z.int() });

export const endpoint = onmemos.get(
  "/v1/cloudrun/workspaces",
  { summary: "List your workspaces, the newest first", uses: ["table"], query: ListQuery, reply: Workspaces },
  async ({ ctx, query }) => {
    const found = await listSessions(ctx, query);
    return { workspaces: found.map((workspace) => toWorkspace(ctx.settings, workspace)), count: found.length };
  },
);

export const handler = lambda(endpoint, { table });
