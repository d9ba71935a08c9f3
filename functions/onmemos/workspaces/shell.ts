import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";

const route = createRoute({
  method: "get",
  path: "/v1/cloudrun/workspaces/{workspace_id}/shell",
  operationId: "openWorkspaceShell",
  tags: ["Workspaces"],
  summary: "Refuse a request for the web shell that is no WebSocket's",
  description:
    "The web shell is a WebSocket at this path, with the key as `?api_key=`. A request without an upgrade gets 426.",
  request: { params: z.object({ workspace_id: z.string().describe("The workspace's id.") }) },
  responses: {
    426: jsonReply(
      z.object({ detail: z.string().describe("The reason as text.") }),
      { "No WebSocket": { detail: "WebSocket upgrade required" } },
      "Upgrade Required",
    ),
  },
});

/** Answers plain HTTP requests at the address of the web shell (docs/apis/onmemos.md#web-shell). */
export const endpoint = onmemos.endpoint(route, { uses: [], keyInQuery: true }, async () => ({
  detail: "WebSocket upgrade required",
}));

export const handler = lambda(endpoint, { table });
