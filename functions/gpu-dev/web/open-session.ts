import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { Problem } from "#core/problem.ts";
import { countLogin } from "#core/users/login-count.ts";
import { openWebSession } from "#core/users/web-sessions.ts";
import { answer } from "#http/answers/answer.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { setSessionCookie } from "#http/keys/session-cookie.ts";
import { jsonBody, jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { WebCodeBody, webCodeExample } from "./schemas.ts";

const Opened = z
  .object({
    username: z.string().describe("Your user name."),
    user_id: z.int().describe("Your user number."),
    key_prefix: z.string().describe("The first 8 characters of the session's key, which name it in lists and logs."),
    expires_at: Timestamp.describe("When the session expires: with the chain of the login that it comes from."),
  })
  .meta({ id: "WebSession" });

const route = createRoute({
  method: "post",
  path: "/v1/web/sessions",
  operationId: "openWebSession",
  tags: ["Browser"],
  summary: "Log this browser in with a code",
  description:
    "Uses the code up, and sets the cookie `__Host-berth`. Only a page of this deployment itself may ask. With a " +
    "sixth browser the oldest session ends.",
  request: { body: jsonBody(WebCodeBody, { "A code": { code: webCodeExample } }) },
  responses: {
    200: jsonReply(Opened, {
      "A session": {
        username: "jschmidt",
        user_id: 42,
        key_prefix: "zHfR3kQ9",
        expires_at: "2026-01-21T06:00:00Z",
      },
    }),
    400: problemReply("Another site's page asked, or no browser"),
    401: problemReply("The code, or the key that asked for it, is not valid any more"),
    403: problemReply("The user is disabled"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], public: true },
  async ({ ctx, body, viewer, isFromConsole }) => {
    if (!isFromConsole) throw new Problem("invalid", "Only the console's own page can log a browser in");
    if (viewer !== undefined) await countLogin(ctx, viewer);
    const { user, key } = await openWebSession(ctx, body.code);
    const seconds = Math.max(0, Math.floor((key.expiresAt - ctx.clock.now()) / 1000));
    return answer(
      {
        username: user.username,
        user_id: user.number,
        key_prefix: key.prefix,
        expires_at: wholeSeconds(key.expiresAt),
      },
      { headers: setSessionCookie(key.secret, seconds) },
    );
  },
);

export const handler = lambda(endpoint, { table, queue });
