import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { type Capacity, readClusterStatus } from "#core/pools/admission/availability.ts";
import type { EstimateErrors } from "#core/pools/forecast/calibration.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { GpuCapacity, toGpuCapacities } from "../gpu/schemas.ts";

const EstimateError = z
  .object({
    starts: z.int().describe("Number of starts that the figures are computed from."),
    covered: z
      .number()
      .describe("Share of those starts, 0 to 1, that came no later than `estimated_start_latest` said."),
    median_error: z.number().describe("Median error of `estimated_start_time`, as a share of the real wait."),
  })
  .meta({ id: "EstimateError" });
const EstimateErrorsByType = z.record(z.string(), EstimateError);

const ClusterStatus = z
  .object({
    total_gpus: z.int().describe("Number of GPUs in the cluster."),
    available_gpus: z.int().describe("Number of GPUs that are free now."),
    in_use_gpus: z.int().describe("Number of GPUs in use by jobs."),
    queued_gpus: z.int().describe("Number of GPUs that waiting jobs asked for."),
    active_reservations: z.int().describe("Number of active jobs."),
    preparing_reservations: z.int().describe("Number of jobs being prepared."),
    queued_reservations: z.int().describe("Number of jobs in the queue."),
    pending_reservations: z.literal(0).describe("Always 0; kept for existing clients."),
    by_gpu_type: z.record(z.string(), GpuCapacity).describe("The same numbers for each GPU type."),
    estimate_errors: EstimateErrorsByType.describe(
      "How wrong the estimates of the latest starts were, for each GPU type that had starts.",
    ),
    timestamp: Timestamp.describe("When these values were read."),
  })
  .meta({ id: "ClusterStatus" });

const route = createRoute({
  method: "get",
  path: "/v1/cluster/status",
  operationId: "getClusterStatus",
  tags: ["Capacity"],
  summary: "GPUs and reservations of the whole cluster",
  responses: {
    200: jsonReply(ClusterStatus, {
      "A busy cluster": {
        total_gpus: 64,
        available_gpus: 32,
        in_use_gpus: 24,
        queued_gpus: 8,
        active_reservations: 5,
        preparing_reservations: 1,
        queued_reservations: 2,
        pending_reservations: 0,
        by_gpu_type: {
          h100: { gpu_type: "h100", total: 16, available: 8, in_use: 8, queued: 4, max_per_node: 8 },
        },
        estimate_errors: { h100: { starts: 200, covered: 0.87, median_error: 0.15 } },
        timestamp: "2026-01-20T18:30:00Z",
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"] }, async ({ ctx }) => {
  const { pools, countedAt, estimateErrors } = await readClusterStatus(ctx);
  const sum = (of: (pool: Capacity) => number) => pools.reduce((total, pool) => total + of(pool), 0);
  return {
    total_gpus: sum((pool) => pool.total),
    available_gpus: sum((pool) => pool.available),
    in_use_gpus: sum((pool) => pool.inUse),
    queued_gpus: sum((pool) => pool.queued),
    active_reservations: sum((pool) => pool.activeCount),
    preparing_reservations: sum((pool) => pool.preparingCount),
    queued_reservations: sum((pool) => pool.queuedCount),
    pending_reservations: 0 as const,
    by_gpu_type: toGpuCapacities(pools.filter(({ hasMachines, queuedCount }) => hasMachines || queuedCount > 0)),
    estimate_errors: toEstimateErrors(estimateErrors),
    timestamp: wholeSeconds(countedAt),
  };
});

export const handler = lambda(endpoint, { table });

function toEstimateErrors(all: readonly EstimateErrors[]): z.infer<typeof EstimateErrorsByType> {
  return Object.fromEntries(
    all.map(({ type, starts, covered, medianError }) => [type, { starts, covered, median_error: medianError }]),
  );
}
