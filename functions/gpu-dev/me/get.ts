import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { MOST_LIVE_KEYS, MOST_WEB_KEYS } from "#core/users/issue.ts";
import { getOwnKey } from "#core/users/keys.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";

const Me = z
  .object({
    username: z.string().describe("Your user name."),
    user_id: z.int().describe("Your user number."),
    is_operator: z.boolean().describe("Whether the calls for operators are there for you."),
    key: z
      .object({
        key_prefix: z.string().describe("The first 8 characters of the API key."),
        kind: z
          .enum(["login", "rotation", "web"])
          .describe(
            "`login` for a key that a login issued, `rotation` for one that took the place of another, `web` for a " +
              "browser's session.",
          ),
        expires_at: Timestamp.describe("When the API key stops working."),
        chain_ends_at: Timestamp.describe(
          "No key that this one is exchanged for works longer: then you have to log in again.",
        ),
      })
      .meta({ id: "OwnKey" })
      .describe("The API key that this request was made with."),
    limits: z
      .object({
        min_duration_hours: z.number().describe("The shortest time that a job may ask for."),
        max_duration_hours: z.number().describe("The longest time that a job, or one extension, may ask for."),
        max_total_hours: z.number().describe("The longest time of a job, with all extensions."),
        max_waiting_jobs: z
          .int()
          .nullable()
          .describe("How many of your jobs may wait for one type of machine. Null for any number."),
        max_keys: z.int().describe("How many API keys you may have that work, beside those of browsers."),
        max_web_sessions: z.int().describe("In how many browsers you may be logged in."),
      })
      .meta({ id: "OwnLimits" })
      .describe("What you may ask for."),
    pages_domain: z.string().describe("The domain below which environments serve their pages."),
  })
  .meta({ id: "Me" });

const developer = {
  username: "jschmidt",
  user_id: 42,
  is_operator: false,
  key: {
    key_prefix: "zHfR3kQ9",
    kind: "login",
    expires_at: "2026-01-20T20:00:00Z",
    chain_ends_at: "2026-01-21T06:00:00Z",
  },
  limits: {
    min_duration_hours: 0.083,
    max_duration_hours: 72,
    max_total_hours: 168,
    max_waiting_jobs: 1000,
    max_keys: 10,
    max_web_sessions: 5,
  },
  pages_domain: "preview.example.com",
};

const route = createRoute({
  method: "get",
  path: "/v1/me",
  operationId: "getMe",
  tags: ["Keys"],
  summary: "Show who you are, and what you may ask for",
  responses: { 200: jsonReply(Me, { "A user after a login": developer }) },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx }) => {
  const { actor, settings } = ctx;
  const { prefix, kind, worksUntil, chainEndsAt } = await getOwnKey(ctx);
  return {
    username: actor.username,
    user_id: actor.number,
    is_operator: actor.isAdmin,
    key: {
      key_prefix: prefix,
      kind,
      expires_at: wholeSeconds(worksUntil),
      chain_ends_at: wholeSeconds(chainEndsAt),
    },
    limits: {
      min_duration_hours: settings.minDurationHours,
      max_duration_hours: settings.maxDurationHours,
      max_total_hours: settings.maxTotalHours,
      max_waiting_jobs: settings.maxWaitingPerUser === 0 ? null : settings.maxWaitingPerUser,
      max_keys: MOST_LIVE_KEYS,
      max_web_sessions: MOST_WEB_KEYS,
    },
    pages_domain: settings.domain,
  };
});

export const handler = lambda(endpoint, { table });
