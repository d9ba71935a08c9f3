import * as z from "zod";
import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { listSessions } from "./parts/list-sessions.ts";
import { ListQuery, Session, toSession } from "./wire.ts";

const Sessions = z.object({ sessions: z.array(Session), count: z.int() });

export const endpoint = onmemos.get(
  "/v1/sessions",
  { summary: "List your sessions, the newest first", uses: ["table"], query: ListQuery, reply: Sessions },
  async ({ ctx, query }) => {
    const found = await listSessions(ctx, query);
    return { sessions: found.map((session) => toSession(ctx.settings, session)), count: found.length };
  },
);

export const handler = lambda(endpoint, { table });
