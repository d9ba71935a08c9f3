import { sealer } from "#aws/kms-sealer.ts";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";
import { createSession } from "./parts/create-session.ts";
import { CreateSession, wantedSession } from "./parts/new-session.ts";
import { Session, toSession } from "./wire.ts";

export const endpoint = onmemos.post(
  "/v1/sessions",
  {
    summary: "Create a session",
    uses: ["table", "queue", "sealer"],
    body: CreateSession,
    reply: Session,
    status: 201,
    creates: "seconds",
    pace: "waits",
  },
  async ({ ctx, body, resource }) => toSession(ctx.settings, await createSession(ctx, resource, wantedSession(body))),
);

export const handler = lambda(endpoint, { table, queue, sealer });
