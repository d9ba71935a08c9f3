import type { NounDocument } from "#http/noun-document.ts";
import { CacheStats, Metrics, Numbers } from "../wire.ts";

const timestamp = "2026-01-20T18:30:00.000Z";
const instances = { size: 3, hitRatio: 0.75, hits: 30, misses: 10 };
const catalogue = { size: 1, hitRatio: 0.5, hits: 5, misses: 5 };

export const document: NounDocument = {
  tag: "Instance statistics",
  schemas: {
    CacheNumbers: Numbers,
    CacheSize: CacheStats.shape.services.shape.instance.shape.instanceDetailsCache,
    CacheSummary: CacheStats.shape.summary,
    MetricsData: Metrics.shape.data,
    ProcessMemory: Metrics.shape.data.shape.system.shape.memory,
  },
  fields: {
    status: "Always `success`.",
    requests: "Your requests that the answering process has seen.",
    "requests.total": "All of these requests.",
    count: "Number of requests.",
    rate: "Number per second over the last 5 minutes.",
    byStatus: "Number of requests for each class of status.",
    jobs: "Work done for your instances.",
    "jobs.total": "All of this work.",
    processed: "Number of pieces of work.",
    byType: "Number for each type of work.",
    system: "The answering process.",
    memory: "The process's memory in bytes.",
    heapUsed: "Bytes of the heap in use.",
    heapTotal: "Bytes of the heap.",
    external: "Bytes outside of the heap.",
    rss: "Bytes of memory held in all.",
    cpu: "The process's use of processors.",
    usage: "Percent of one processor, over the life of the process.",
    loadAverage: "The machine's load over 1, 5 and 15 minutes.",
    uptime: "Seconds since the process started.",
    cache: "All caches of the process.",
    hitRatio: "Share of look-ups, 0 to 1, that the cache answered.",
    totalSize: "Number of entries.",
    size: "Number of entries.",
    hits: "Number of look-ups that the cache answered.",
    misses: "Number of look-ups that it did not answer.",
    cacheManager: "The caches by name.",
    cacheNames: "The names of the caches.",
    stats: "Numbers for each cache.",
    services: "Numbers in the form that existing clients read.",
    instance: "Numbers about instances.",
    instanceDetailsCache: "The cache of instances.",
    summary: "Numbers of all caches together.",
    totalCaches: "Number of caches.",
    totalEntries: "Number of entries.",
    totalHits: "Number of look-ups that caches answered.",
    totalMisses: "Number of look-ups that they did not answer.",
    overallHitRatio: "Share of look-ups, 0 to 1, that caches answered.",
  },
  operations: {
    metrics: {
      id: "getMetrics",
      reply: "Metrics",
      replies: {
        200: {
          examples: {
            "A few requests": {
              status: "success",
              timestamp,
              data: {
                requests: { total: { count: 12, rate: 0.04 }, byStatus: { "2xx": 11, "4xx": 1, "5xx": 0 } },
                jobs: {
                  total: { processed: 6, rate: 0.01 },
                  byType: { create_instance: 2, monitor_instance: 2, send_webhook: 2 },
                },
                system: {
                  memory: { heapUsed: 48_000_000, heapTotal: 64_000_000, external: 4_000_000, rss: 120_000_000 },
                  cpu: { usage: 1.5, loadAverage: [0.2, 0.3, 0.25] },
                  uptime: 9015.2,
                },
                cache: { hitRatio: 2 / 3, totalSize: 5 },
              },
            },
          },
        },
      },
    },
    cache: {
      id: "getCacheStats",
      reply: "CacheStats",
      replies: {
        200: {
          examples: {
            "Three caches": {
              timestamp,
              cacheManager: {
                cacheNames: ["instances", "products", "templates"],
                stats: { instances, products: catalogue, templates: catalogue },
              },
              services: { instance: { instanceDetailsCache: { size: instances.size, hitRatio: instances.hitRatio } } },
              summary: { totalCaches: 3, totalEntries: 5, totalHits: 40, totalMisses: 20, overallHitRatio: 2 / 3 },
            },
          },
        },
      },
    },
  },
};
