import * as z from "zod";
import { Problem } from "#core/problem.ts";
import { isSessionId } from "#functions/onmemos/sessions/wire.ts";
import { onmemosDialect } from "#http/dialects/onmemos.ts";
import { socketIn } from "#http/socket.ts";
import { findUsable, shellSession } from "./parts/shell-session.ts";

/** A shell in the browser: request and answer, no terminal (docs/apis/onmemos.md#web-shell). */
export const socket = socketIn(onmemosDialect)(
  "/v1/cloudrun/workspaces/{workspace_id}/shell",
  {
    summary: "Open a shell in a workspace",
    uses: ["table", "queue", "compute"],
    params: z.object({ workspace_id: z.string() }),
    timeoutSeconds: 900,
  },
  async ({ ctx, params }) => {
    const { workspace_id: id } = params;
    const environment = isSessionId(id) ? await findUsable(ctx, id) : undefined;
    if (!environment) throw new Problem("notFound", "Workspace not found");
    return (channel) => shellSession(ctx, environment, channel);
  },
);
