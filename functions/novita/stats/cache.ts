import { table } from "#aws/table.ts";
import { novita } from "#http/dialects/novita.ts";
import { milliseconds } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { hitRatioOf, readCaches, totalOf } from "../parts/cache-numbers.ts";
import { CacheStats } from "./wire.ts";

export const endpoint = novita.get(
  "/api/cache/stats",
  { summary: "The caches of the answering process", uses: [], reply: CacheStats },
  async ({ ctx }) => {
    const caches = readCaches(ctx.settings);
    const { caches: totalCaches, size, hits, misses, hitRatio } = totalOf(caches);
    const stats = Object.entries(caches).map(([name, one]) => [name, { ...one, hitRatio: hitRatioOf(one) }] as const);
    const { instances } = caches;
    return {
      timestamp: milliseconds(ctx.clock.now()),
      cacheManager: { cacheNames: Object.keys(caches), stats: Object.fromEntries(stats) },
      services: { instance: { instanceDetailsCache: { size: instances.size, hitRatio: hitRatioOf(instances) } } },
      summary: {
        totalCaches,
        totalEntries: size,
        totalHits: hits,
        totalMisses: misses,
        overallHitRatio: hitRatio,
      },
    };
  },
);

export const handler = lambda(endpoint, { table });
