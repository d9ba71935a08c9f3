import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { milliseconds } from "#http/answers/timestamp.ts";
import { novita } from "#http/dialects/novita.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { Timestamp } from "../instances/schemas.ts";
import { computeHitRatio, readCaches, sumCacheNumbers } from "../internal/cache-numbers.ts";

const Numbers = z
  .object({
    size: z.int().describe("Number of entries."),
    hitRatio: z.number().describe("Share of look-ups, 0 to 1, that the cache answered."),
    hits: z.int().describe("Number of look-ups that the cache answered."),
    misses: z.int().describe("Number of look-ups that it did not answer."),
  })
  .meta({ id: "CacheNumbers" });

const CacheStats = z
  .object({
    timestamp: Timestamp.describe("When these values were read."),
    cacheManager: z
      .object({
        cacheNames: z.array(z.string()).describe("The names of the caches."),
        stats: z.record(z.string(), Numbers).describe("Numbers for each cache."),
      })
      .describe("The caches by name."),
    services: z
      .object({
        instance: z
          .object({
            instanceDetailsCache: Numbers.pick({ size: true, hitRatio: true })
              .meta({ id: "CacheSize" })
              .describe("The cache of instances."),
          })
          .describe("Numbers about instances."),
      })
      .describe("Numbers in the form that existing clients read."),
    summary: z
      .object({
        totalCaches: z.int().describe("Number of caches."),
        totalEntries: z.int().describe("Number of entries."),
        totalHits: z.int().describe("Number of look-ups that caches answered."),
        totalMisses: z.int().describe("Number of look-ups that they did not answer."),
        overallHitRatio: z.number().describe("Share of look-ups, 0 to 1, that caches answered."),
      })
      .meta({ id: "CacheSummary" })
      .describe("Numbers of all caches together."),
  })
  .meta({ id: "CacheStats" });

const route = createRoute({
  method: "get",
  path: "/api/cache/stats",
  operationId: "getCacheStats",
  tags: ["Instance statistics"],
  summary: "The caches of the answering process",
  responses: {
    200: jsonReply(CacheStats, {
      "Three caches": {
        timestamp: "2026-01-20T18:30:00.000Z",
        cacheManager: {
          cacheNames: ["instances", "products", "templates"],
          stats: {
            instances: { size: 3, hitRatio: 0.75, hits: 30, misses: 10 },
            products: { size: 1, hitRatio: 0.5, hits: 5, misses: 5 },
            templates: { size: 1, hitRatio: 0.5, hits: 5, misses: 5 },
          },
        },
        services: { instance: { instanceDetailsCache: { size: 3, hitRatio: 0.75 } } },
        summary: { totalCaches: 3, totalEntries: 5, totalHits: 40, totalMisses: 20, overallHitRatio: 2 / 3 },
      },
    }),
  },
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
