import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { callInbox } from "#core/chat/drop.ts";
import { WAIT_BUDGET_MS, waitForEnvironment } from "#core/environments/record/wait.ts";
import { requestDelete } from "#core/environments/verbs/delete.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#lambda/lambda.ts";
import { SessionRef, sessionOf } from "./wire.ts";

const Terminated = z.object({ uuid: z.string(), status: z.literal("terminated") });

export const endpoint = sessionManager.delete(
  "/session/{uuid}",
  {
    summary: "Back up the volume of a session and delete it",
    uses: ["table", "queue"],
    params: SessionRef,
    reply: Terminated,
    timeoutSeconds: 29,
  },
  async ({ ctx, params }) => {
    const session = await sessionOf(ctx, params);
    await requestDelete(ctx, session.id);
    await callInbox(ctx, session);
    await waitForEnvironment(ctx, session.id, (found) => found === undefined, WAIT_BUDGET_MS);
    return { uuid: session.id, status: "terminated" as const };
  },
);

export const handler = lambda(endpoint, { table, queue });
