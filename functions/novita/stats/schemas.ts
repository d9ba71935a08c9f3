import * as z from "zod";
import { Timestamp } from "../instances/schemas.ts";

const Numbers = z
  .object({
    size: z.int().describe("Number of entries."),
    hitRatio: z.number().describe("Share of look-ups, 0 to 1, that the cache answered."),
    hits: z.int().describe("Number of look-ups that the cache answered."),
    misses: z.int().describe("Number of look-ups that it did not answer."),
  })
  .meta({ id: "CacheNumbers" });

export const CacheStats = z
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

const Counts = z.record(z.string(), z.int());

export const Metrics = z
  .object({
    status: z.literal("success").describe("Always `success`."),
    timestamp: Timestamp.describe("When these values were read."),
    data: z
      .object({
        requests: z
          .object({
            total: z
              .object({
                count: z.int().describe("Number of requests."),
                rate: z.number().describe("Number per second over the last 5 minutes."),
              })
              .describe("All of these requests."),
            byStatus: Counts.describe("Number of requests for each class of status."),
          })
          .describe("Your requests that the answering process has seen."),
        jobs: z
          .object({
            total: z
              .object({
                processed: z.int().describe("Number of pieces of work."),
                rate: z.number().describe("Number per second over the last 5 minutes."),
              })
              .describe("All of this work."),
            byType: Counts.describe("Number for each type of work."),
          })
          .describe("Work done for your instances."),
        system: z
          .object({
            memory: z
              .object({
                heapUsed: z.int().describe("Bytes of the heap in use."),
                heapTotal: z.int().describe("Bytes of the heap."),
                external: z.int().describe("Bytes outside of the heap."),
                rss: z.int().describe("Bytes of memory held in all."),
              })
              .meta({ id: "ProcessMemory" })
              .describe("The process's memory in bytes."),
            cpu: z
              .object({
                usage: z.number().describe("Percent of one processor, over the life of the process."),
                loadAverage: z.array(z.number()).describe("The machine's load over 1, 5 and 15 minutes."),
              })
              .describe("The process's use of processors."),
            uptime: z.number().describe("Seconds since the process started."),
          })
          .describe("The answering process."),
        cache: z
          .object({
            hitRatio: z.number().describe("Share of look-ups, 0 to 1, that the cache answered."),
            totalSize: z.int().describe("Number of entries."),
          })
          .describe("All caches of the process."),
      })
      .meta({ id: "MetricsData" })
      .describe("The result."),
  })
  .meta({ id: "Metrics" });
