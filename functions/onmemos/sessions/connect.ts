import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { Connection, SessionRef, sessionOf, toConnection } from "./wire.ts";

export const endpoint = onmemos.get(
  "/v1/sessions/{session_id}/connect",
  { summary: "Tell where a session is reached", uses: ["table"], params: SessionRef, reply: Connection },
  async ({ ctx, params }) => toConnection(ctx.settings, await sessionOf(ctx, params.session_id, "Session")),
);

export const handler = lambda(endpoint, { table });
