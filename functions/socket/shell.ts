import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { socketGateway } from "#aws/socket-gateway.ts";
import { queue } from "#aws/sqs/queue.ts";
import { Problem } from "#core/problem.ts";
import { onmemosDialect } from "#http/dialects/onmemos.ts";
import { socketIn } from "#http/socket.ts";
import { compute } from "#lambda/request-compute.ts";
import { socketLambda } from "#lambda/socket.ts";
import { isSessionId } from "../onmemos/sessions/schemas.ts";
import { findUsable } from "./internal/shell-command.ts";
import { answerMessage } from "./internal/shell-message.ts";
import { shellSession } from "./internal/shell-session.ts";
import { beginShell } from "./internal/shell-step.ts";

export const socket = socketIn(onmemosDialect)(
  "/v1/cloudrun/workspaces/{workspace_id}/shell",
  {
    summary: "Open a shell in a workspace",
    uses: ["table", "queue", "compute"],
    params: z.object({ workspace_id: z.string() }),
    timeoutSeconds: 900,
  },
  {
    async begin({ ctx, params }) {
      const { workspace_id: id } = params;
      const environment = isSessionId(id) ? await findUsable(ctx, id) : undefined;
      if (!environment) throw new Problem("notFound", "Workspace not found");
      return beginShell(environment, ctx.clock.now());
    },
    open: shellSession,
    answer: answerMessage,
  },
);

export const handler = socketLambda(socket, { table, queue, compute }, socketGateway);
