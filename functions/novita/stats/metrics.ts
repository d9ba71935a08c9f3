import { loadavg } from "node:os";
import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import type { UserContext } from "#core/context.ts";
import { listEnvironments } from "#core/environments/record/read.ts";
import type { Environment } from "#core/environments/record/record.ts";
import type { Delivery } from "#core/webhooks/delivery.ts";
import { listDeliveries } from "#core/webhooks/requests.ts";
import { milliseconds } from "#http/answers/timestamp.ts";
import { novita } from "#http/dialects/novita.ts";
import { requestTally } from "#http/request/request-tally.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { Timestamp } from "../instances/schemas.ts";
import { readCaches, sumCacheNumbers } from "../internal/cache-numbers.ts";

const statusFamilies = { "2xx": 0, "4xx": 0, "5xx": 0 };

const RECENT_MS = 5 * 60_000;

const DELIVERIES = 500;

interface JobCounts {
  readonly total: { readonly processed: number; readonly rate: number };
  readonly byType: Readonly<Record<"create_instance" | "monitor_instance" | "send_webhook", number>>;
}

const Counts = z.record(z.string(), z.int());

const Metrics = z
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

const route = createRoute({
  method: "get",
  path: "/api/metrics",
  operationId: "getMetrics",
  tags: ["Instance statistics"],
  summary: "Your requests and jobs, and the answering process",
  responses: {
    200: jsonReply(Metrics, {
      "A few requests": {
        status: "success",
        timestamp: "2026-01-20T18:30:00.000Z",
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
    }),
  },
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

/**
 * Counts the work for the caller's instances from their records: requested runs, recorded steps, and posts to
 * receivers. Of a deleted instance, only the posts are left. The rate is per second over the last 5 minutes.
 */
async function countJobs(ctx: UserContext<"table">): Promise<JobCounts> {
  const [{ shown: instances }, page] = await Promise.all([
    listEnvironments(ctx),
    listDeliveries(ctx, { limit: DELIVERIES }),
  ]);
  const deliveries = page.deliveries.filter(({ environment }) => environment.createdBy === ctx.dialect);
  const byType = {
    create_instance: total(instances, ({ starts }) => starts + 1),
    monitor_instance: total(instances, ({ events: { count: timelineCount } }) => timelineCount),
    send_webhook: total(deliveries, ({ attemptCount }) => attemptCount),
  };
  const processed = byType.create_instance + byType.monitor_instance + byType.send_webhook;
  const since = ctx.clock.now() - RECENT_MS;
  const moments = [...instances.flatMap(listMoments), ...deliveries.flatMap(({ attempts }) => attempts)];
  const recent = moments.filter(({ at }) => at > since).length;
  return { total: { processed, rate: recent / (RECENT_MS / 1000) }, byType };
}

function listMoments({ queuedAt, events: { timeline } }: Environment): readonly { readonly at: number }[] {
  return [{ at: queuedAt }, ...timeline];
}

function total<One extends Environment | Delivery>(all: readonly One[], getCount: (record: One) => number): number {
  return all.reduce((sum, entry) => sum + getCount(entry), 0);
}
