import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { rotateKey } from "#core/users/issue.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { AS_PRINTED, jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";

const Rotated = z
  .object({
    api_key: z.string().describe("The new API key. It is shown only in this answer."),
    key_prefix: z.string().describe("The first 8 characters of the API key, which name it in lists and logs."),
    user_id: z.int().describe("Your user number."),
    username: z.string().describe("Your user name."),
    expires_at: Timestamp.describe("When the API key expires."),
  })
  .meta({ id: "RotatedKey" });

const rotated = {
  api_key: "aB3dEf6hQ9-TKv0hY2mXcW8sLpE5uJ1oNa7dFg4bVt6iRxCqZ_wPyM3lBeUjHkSnDrAvGfTzOoIiYyXxWwVvUu012",
  key_prefix: "aB3dEf6h",
  user_id: 42,
  username: "jschmidt",
  expires_at: "2026-01-20T22:00:00Z",
};

const route = createRoute({
  method: "post",
  path: "/v1/keys/rotate",
  operationId: "rotateKey",
  tags: ["Keys"],
  summary: "Exchange your API key for a new one",
  description:
    "The old key works for a minute more. No key lives beyond 12 hours after the login that began its chain.",
  responses: {
    200: jsonReply(Rotated, {
      "A new key": rotated,
      [AS_PRINTED]: { ...rotated, api_key: "new-key-xyz...", key_prefix: "new-key-" },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table", "queue"], endsKeys: true }, async ({ ctx }) => {
  const { user, key } = await rotateKey(ctx);
  return {
    api_key: key.secret,
    key_prefix: key.prefix,
    user_id: user.number,
    username: user.username,
    expires_at: wholeSeconds(key.expiresAt),
  };
});

export const handler = lambda(endpoint, { table, queue });
