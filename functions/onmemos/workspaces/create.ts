import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { sealer } from "#aws/kms/kms-sealer.ts";
import { queue } from "#aws/sqs/queue.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonBody, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { createSession } from "../sessions/internal/create-session.ts";
import { CreateWorkspace, wantedWorkspace } from "../sessions/internal/new-session.ts";
import { exampleWorkspace, toWorkspace, Workspace } from "./schemas.ts";

const route = createRoute({
  method: "post",
  path: "/v1/cloudrun/workspaces",
  operationId: "createWorkspace",
  tags: ["Workspaces"],
  summary: "Create a workspace",
  description: "Waits at most 25 seconds until it runs, and answers with its current state.",
  request: {
    body: jsonBody(CreateWorkspace, {
      "Half an hour of Python": { template: "python", namespace: "my-project", user: "developer", ttl_minutes: 30 },
    }),
  },
  responses: { 201: jsonReply(Workspace, { "It runs": exampleWorkspace() }, "Created") },
});

export const endpoint = onmemos.endpoint(
  route,
  { uses: ["table", "queue", "sealer"], creates: "seconds", pace: "waits" },
  async ({ ctx, body, resource }) =>
    toWorkspace(ctx.settings, await createSession(ctx, resource, wantedWorkspace(body))),
);

export const handler = lambda(endpoint, { table, queue, sealer });
