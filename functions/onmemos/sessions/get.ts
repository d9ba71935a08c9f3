import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { Session, SessionRef, sessionOf, toSession } from "./wire.ts";

export const endpoint = onmemos.get(
  "/v1/sessions/{session_id}",
  { summary: "Read a session", uses: ["table"], params: SessionRef, reply: Session },
  async ({ ctx, params }) => toSession(ctx.settings, await sessionOf(ctx, params.session_id, "Session")),
);

export const handler = lambda(endpoint, { table });
