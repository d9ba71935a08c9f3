import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { issueWebCode } from "#core/users/web-sessions.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { webCodeExample } from "./schemas.ts";

const Issued = z
  .object({
    code: z.string().describe("Logs one browser in as you, once. Put it into the fragment of the console's address."),
    expires_at: Timestamp.describe("When the code expires, 60 s after the answer."),
  })
  .meta({ id: "WebCode" });

const route = createRoute({
  method: "post",
  path: "/v1/web/codes",
  operationId: "createWebCode",
  tags: ["Browser"],
  summary: "Get a code that logs a browser in",
  description: "`berth web` does this, and opens the console with the code in the fragment of its address.",
  responses: {
    200: jsonReply(Issued, { "A code": { code: webCodeExample, expires_at: "2026-01-20T18:01:00Z" } }),
    409: problemReply("The request was made with a browser's session"),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx }) => {
  const { code, expiresAt } = await issueWebCode(ctx);
  return { code, expires_at: wholeSeconds(expiresAt) };
});

export const handler = lambda(endpoint, { table });
