import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { countLogin } from "#core/users/login-count.ts";
import { showWebCode } from "#core/users/web-sessions.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { WebCodeBody, webCodeExample } from "./schemas.ts";

const Shown = z.object({ username: z.string().describe("The user whom the code logs in.") });

const route = createRoute({
  method: "post",
  path: "/v1/web/codes/show",
  operationId: "showWebCode",
  tags: ["Browser"],
  summary: "Show whom a code logs in, without using it up",
  request: { body: jsonBody(WebCodeBody, { "A code": { code: webCodeExample } }) },
  responses: {
    200: jsonReply(Shown, { "The user": { username: "jschmidt" } }),
    401: problemReply("The code is unknown, used or expired"),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], public: true }, async ({ ctx, body, viewer }) => {
  if (viewer !== undefined) await countLogin(ctx, viewer);
  const { username } = await showWebCode(ctx, body.code);
  return { username };
});

export const handler = lambda(endpoint, { table });
