const timestamp = "2026-01-20T18:30:00.000Z";

const instances = { size: 3, hitRatio: 0.75, hits: 30, misses: 10 };

const catalogue = { size: 1, hitRatio: 0.5, hits: 5, misses: 5 };

export const metricsExamples = {
  200: {
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
};

export const cacheExamples = {
  200: {
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
};
