import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { deleteSession } from "./parts/delete-session.ts";
import { SessionRef } from "./wire.ts";

export const endpoint = onmemos.delete(
  "/v1/sessions/{session_id}",
  {
    summary: "Delete a session with its files",
    uses: ["table", "queue"],
    params: SessionRef,
    reply: z.object({ ok: z.literal(true) }),
  },
  async ({ ctx, params }) => {
    await deleteSession(ctx, params.session_id, "Session");
    return { ok: true as const };
  },
);

export const handler = lambda(endpoint, { table, queue });
