import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { AS_PRINTED, jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { createSession } from "./internal/create-session.ts";
import { CreateSession, wantedSession } from "./internal/new-session.ts";
import { exampleSession, Session, toSession } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/sessions",
  operationId: "createSession",
  tags: ["Sessions"],
  summary: "Create a session",
  description: "Waits at most 25 seconds until it runs, and answers with its current state.",
  request: {
    body: jsonBody(CreateSession, {
      "A Python session": {
        provider: "auto",
        template: "python",
        namespace: "my-project",
        user: "developer",
        ttl_minutes: 60,
      },
      "Any of the providers": {
        provider: "auto|cloud_run|gke|workstations",
        template: "python",
        namespace: "my-project",
        user: "developer",
        ttl_minutes: 60,
      },
      "At Cloud Run for half an hour": {
        provider: "cloud_run",
        template: "python",
        namespace: "test",
        user: "developer",
        ttl_minutes: 30,
      },
      "A long-lived one": {
        provider: "gke",
        template: "python",
        namespace: "ml-training",
        user: "researcher",
        long_lived: true,
      },
    }),
  },
  responses: {
    201: jsonReply(
      Session,
      {
        "It runs": exampleSession,
        [AS_PRINTED]: {
          ...exampleSession,
          url: "https://onmemos-ws-my-project-developer-1756062811-803927173002.us-central1.run.app",
        },
      },
      "Created",
    ),
  },
});

export const endpoint = onmemos.endpoint(
  route,
  { uses: ["table", "queue", "sealer"], creates: "seconds", pace: "waits" },
  async ({ ctx, body, resource }) => toSession(ctx.settings, await createSession(ctx, resource, wantedSession(body))),
);

export const handler = lambda(endpoint, { table, queue, sealer });
