import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { signOut } from "#core/users/keys.ts";
import { answer } from "#http/answers/answer.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { clearSessionCookie } from "#http/keys/session-cookie.ts";
import { jsonReply, problemReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";

const Closed = z.object({
  status: z.literal("signed_out").describe("The session's key is revoked, everywhere after some seconds."),
});

const route = createRoute({
  method: "delete",
  path: "/v1/web/sessions",
  operationId: "closeWebSession",
  tags: ["Browser"],
  summary: "Sign this browser out",
  description: "Revokes the key of the session and clears the cookie.",
  responses: {
    200: jsonReply(Closed, { "Signed out": { status: "signed_out" } }),
    409: problemReply("The request was made with a key instead of the cookie"),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], endsKeys: true }, async ({ ctx }) => {
  await signOut(ctx);
  return answer({ status: "signed_out" as const }, { headers: clearSessionCookie() });
});

export const handler = lambda(endpoint, { table });
