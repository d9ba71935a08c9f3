import * as z from "zod";
import { table } from "#aws/table.ts";
import { novita } from "#http/dialects/novita.ts";
import { lambda } from "#lambda/lambda.ts";
import { milliseconds } from "../instances/wire.ts";
import { hitRatioOf, readCaches, totalOf } from "../parts/cache-numbers.ts";

const Numbers = z.object({ size: z.number(), hitRatio: z.number(), hits: z.number(), misses: z.number() });

const CacheStats = z.object({
  timestamp: z.string(),
  cacheManager: z.object({ cacheNames: z.array(z.string()), stats: z.record(z.string(), Numbers) }),
  services: z.object({
    instance: z.object({ instanceDetailsCache: Numbers.pick({ size: true, hitRatio: true }) }),
  }),
  summary: z.object({
    totalCaches: z.number(),
    totalEntries: z.number(),
    totalHits: z.number(),
    totalMisses: z.number(),
    overallHitRatio: z.number(),
  }),
});

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
        ...{ totalCaches, totalEntries: size, totalHits: hits, totalMisses: misses },
        overallHitRatio: hitRatio,
      },
    };
  },
);

export const handler = lambda(endpoint, { table });
