import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { listKeys } from "#core/users/keys.ts";
import { wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { listExamples } from "./internal/examples.ts";
import { Keys } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/v1/keys",
  operationId: "listKeys",
  tags: ["Keys"],
  summary: "List your API keys that work",
  responses: { 200: jsonReply(Keys, listExamples[200]) },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx }) => {
  const live = await listKeys(ctx);
  const keys = live.map((key) => ({
    key_prefix: key.prefix,
    created_at: wholeSeconds(key.createdAt),
    expires_at: wholeSeconds(key.worksUntil),
    last_used_at: wholeSeconds(key.lastUsedAt),
    current: key.current,
  }));
  return { keys, total: keys.length };
});

export const handler = lambda(endpoint, { table });
