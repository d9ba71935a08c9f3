import * as z from "zod";
import { table } from "#aws/table.ts";
import { listEnvironments } from "#core/environments/read.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#http/lambda.ts";
import { isLeaving, SessionSummary, toSessionSummary } from "./wire.ts";

const Sessions = z.object({ total: z.number(), sessions: z.array(SessionSummary) });

export const endpoint = sessionManager.get(
  "/sessions",
  { summary: "List your sessions, the newest first", uses: ["table"], reply: Sessions },
  async ({ ctx }) => {
    const all = await listEnvironments(ctx);
    const living = all.filter((session) => !isLeaving(session));
    // Their ids say nothing about their age.
    const sessions = living.toSorted((one, other) => other.createdAt - one.createdAt).map(toSessionSummary);
    return { total: sessions.length, sessions };
  },
);

export const handler = lambda(endpoint, { table });
