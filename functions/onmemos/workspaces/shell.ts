import * as z from "zod";
import { table } from "#aws/table.ts";
import { onmemos } from "#http/dialects/onmemos.ts";
import { lambda } from "#lambda/lambda.ts";

/**
 * Answers a client that asks for no WebSocket at the address of the web shell (docs/apis/onmemos.md#web-shell).
 */
export const endpoint = onmemos.get(
  "/v1/cloudrun/workspaces/{workspace_id}/shell",
  {
    summary: "Refuse a request for the web shell that is no WebSocket's",
    uses: [],
    params: z.object({ workspace_id: z.string() }),
    keyInQuery: true,
    reply: z.object({ detail: z.string() }),
    status: 426,
  },
  async () => ({ detail: "WebSocket upgrade required" }),
);

export const handler = lambda(endpoint, { table });
