import { loadavg } from "node:os";
import { createRoute } from "@hono/zod-openapi";
import { table } from "#aws/dynamodb/table.ts";
import { milliseconds } from "#http/answers/timestamp.ts";
import { novita } from "#http/dialects/novita.ts";
import { requestTally } from "#http/request/request-tally.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { readCaches, sumCacheNumbers } from "../internal/cache-numbers.ts";
import { metricsExamples } from "./internal/examples.ts";
import { countJobs } from "./internal/job-counts.ts";
import { Metrics } from "./schemas.ts";

const statusFamilies = { "2xx": 0, "4xx": 0, "5xx": 0 };

const route = createRoute({
  method: "get",
  path: "/api/metrics",
  operationId: "getMetrics",
  tags: ["Instance statistics"],
  summary: "Your requests and jobs, and the answering process",
  responses: { 200: jsonReply(Metrics, metricsExamples[200]) },
});

export const endpoint = novita.endpoint(route, { uses: ["table"] }, async ({ ctx }) => {
  const { count, rate, byStatus } = requestTally(ctx, ctx.actor.uid);
  const { hitRatio, size } = sumCacheNumbers(readCaches(ctx.settings));
  return {
    status: "success" as const,
    timestamp: milliseconds(ctx.clock.now()),
    data: {
      requests: { total: { count, rate }, byStatus: { ...statusFamilies, ...byStatus } },
      jobs: await countJobs(ctx),
      system: readSystem(),
      cache: { hitRatio, totalSize: size },
    },
  };
});

export const handler = lambda(endpoint, { table });

function readSystem() {
  const { heapUsed, heapTotal, external, rss } = process.memoryUsage();
  const { user, system } = process.cpuUsage();
  const uptime = process.uptime();
  const usage = ((user + system) / 1e6 / uptime) * 100;
  return { memory: { heapUsed, heapTotal, external, rss }, cpu: { usage, loadAverage: loadavg() }, uptime };
}
