import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { milliseconds } from "#http/answers/timestamp.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { computeHitRatio, readCaches, sumCacheNumbers } from "../internal/cache-numbers.ts";
import { cacheExamples } from "./internal/examples.ts";
import { CacheStats } from "./schemas.ts";

const route = createRoute({
  method: "get",
  path: "/api/cache/stats",
  operationId: "getCacheStats",
  tags: ["Instance statistics"],
  summary: "The caches of the answering process",
  responses: { 200: jsonReply(CacheStats, cacheExamples[200]) },
});

export const endpoint = novita.endpoint(route, { uses: [] }, async ({ ctx }) => {
  const caches = readCaches(ctx.settings);
  const { caches: totalCaches, size, hits, misses, hitRatio } = sumCacheNumbers(caches);
  const stats = Object.entries(caches).map(
    ([name, cacheNumbers]) => [name, { ...cacheNumbers, hitRatio: computeHitRatio(cacheNumbers) }] as const,
  );
  const { instances } = caches;
  return {
    timestamp: milliseconds(ctx.clock.now()),
    cacheManager: { cacheNames: Object.keys(caches), stats: Object.fromEntries(stats) },
    services: { instance: { instanceDetailsCache: { size: instances.size, hitRatio: computeHitRatio(instances) } } },
    summary: {
      totalCaches,
      totalEntries: size,
      totalHits: hits,
      totalMisses: misses,
      overallHitRatio: hitRatio,
    },
  };
});

export const handler = lambda(endpoint, { table });
