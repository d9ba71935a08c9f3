import * as z from "zod";
import { Timestamp } from "../instances/wire.ts";

export const Numbers = z.object({ size: z.int(), hitRatio: z.number(), hits: z.int(), misses: z.int() });

export const CacheStats = z.object({
  timestamp: Timestamp,
  cacheManager: z.object({ cacheNames: z.array(z.string()), stats: z.record(z.string(), Numbers) }),
  services: z.object({
    instance: z.object({ instanceDetailsCache: Numbers.pick({ size: true, hitRatio: true }) }),
  }),
  summary: z.object({
    totalCaches: z.int(),
    totalEntries: z.int(),
    totalHits: z.int(),
    totalMisses: z.int(),
    overallHitRatio: z.number(),
  }),
});

const Counts = z.record(z.string(), z.int());

export const Metrics = z.object({
  status: z.literal("success"),
  timestamp: Timestamp,
  data: z.object({
    requests: z.object({ total: z.object({ count: z.int(), rate: z.number() }), byStatus: Counts }),
    jobs: z.object({ total: z.object({ processed: z.int(), rate: z.number() }), byType: Counts }),
    system: z.object({
      memory: z.object({ heapUsed: z.int(), heapTotal: z.int(), external: z.int(), rss: z.int() }),
      cpu: z.object({ usage: z.number(), loadAverage: z.array(z.number()) }),
      uptime: z.number(),
    }),
    cache: z.object({ hitRatio: z.number(), totalSize: z.int() }),
  }),
});
