import { table } from "#aws/table.ts";
import { sessionManager } from "#http/dialects/session-manager.ts";
import { lambda } from "#lambda/lambda.ts";
import { readSession } from "./parts/state.ts";
import { SessionRef, SessionState } from "./wire.ts";

export const endpoint = sessionManager.get(
  "/session/{uuid}/status",
  { summary: "Read the state of a session", uses: ["table"], params: SessionRef, reply: SessionState },
  ({ ctx, params }) => readSession(ctx, params),
);

export const handler = lambda(endpoint, { table });
