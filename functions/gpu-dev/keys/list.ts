import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { listKeys } from "#core/users/keys.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";

const Keys = z
  .object({
    keys: z
      .array(
        z
          .object({
            key_prefix: z.string().describe("The first 8 characters of the API key, which name it in lists and logs."),
            kind: z
              .enum(["login", "rotation", "web"])
              .describe(
                "`login` for a key that a login issued, `rotation` for one that took the place of another, `web` for a " +
                  "browser's session.",
              ),
            created_at: Timestamp.describe("When it was created."),
            expires_at: Timestamp.describe("When the API key expires."),
            last_used_at: Timestamp.describe("When the API key was last used, to the hour."),
            current: z.boolean().describe("Whether this request was made with it."),
          })
          .meta({ id: "Key" }),
      )
      .describe("Your API keys that work."),
    total: z.int().describe("Number of entries in all."),
  })
  .meta({ id: "KeyList" });

const route = createRoute({
  method: "get",
  path: "/v1/keys",
  operationId: "listKeys",
  tags: ["Keys"],
  summary: "List your API keys that work",
  responses: {
    200: jsonReply(Keys, {
      "One key": {
        keys: [
          {
            key_prefix: "zHfR3kQ9",
            kind: "login",
            created_at: "2026-01-20T18:00:00Z",
            expires_at: "2026-01-20T20:00:00Z",
            last_used_at: "2026-01-20T18:00:00Z",
            current: true,
          },
        ],
        total: 1,
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx }) => {
  const live = await listKeys(ctx);
  const keys = live.map((key) => ({
    key_prefix: key.prefix,
    kind: key.kind,
    created_at: wholeSeconds(key.createdAt),
    expires_at: wholeSeconds(key.worksUntil),
    last_used_at: wholeSeconds(key.lastUsedAt),
    current: key.current,
  }));
  return { keys, total: keys.length };
});

export const handler = lambda(endpoint, { table });
