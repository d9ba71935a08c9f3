import * as z from "zod";
import { table } from "#aws/table.ts";
import { listEnvironments } from "#core/environments/record/read.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#lambda/lambda.ts";
import { isLeaving, SessionSummary, toSessionSummary } from "./wire.ts";

const Sessions = z.object({ total: z.int(), sessions: z.array(SessionSummary) });

export const endpoint = sessionManager.get(
  "/sessions",
  { summary: "List your sessions, the newest first", uses: ["table"], reply: Sessions },
  async ({ ctx }) => {
    const { shown } = await listEnvironments(ctx, { matches: (session) => !isLeaving(session) });
    return { total: shown.length, sessions: shown.map((session) => toSessionSummary(ctx.settings, session)) };
  },
);

export const handler = lambda(endpoint, { table });
