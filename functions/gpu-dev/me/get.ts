import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { MOST_LIVE_KEYS } from "#core/users/issue.ts";
import { getOwnKey } from "#core/users/keys.ts";
import { wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { getExamples } from "./internal/examples.ts";
import { Me } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/me",
  operationId: "getMe",
  tags: ["Keys"],
  summary: "Show who you are, and what you may ask for",
  responses: { 200: jsonReply(Me, getExamples[200]) },
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
    },
  };
});

export const handler = lambda(endpoint, { table });
