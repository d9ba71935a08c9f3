import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { createSession } from "../sessions/parts/create-session.ts";
import { CreateWorkspace, wantedWorkspace } from "../sessions/parts/new-session.ts";
import { toWorkspace, Workspace } from "./wire.ts";

export const endpoint = onmemos.post(
  "/v1/cloudrun/workspaces",
  {
    summary: "Create a workspace",
    uses: ["table", "queue", "sealer"],
    body: CreateWorkspace,
    reply: Workspace,
    status: 201,
    creates: "seconds",
    pace: "waits",
  },
  async ({ ctx, body, resource }) =>
    toWorkspace(ctx.settings, await createSession(ctx, resource, wantedWorkspace(body))),
);

export const handler = lambda(endpoint, { table, queue, sealer });
