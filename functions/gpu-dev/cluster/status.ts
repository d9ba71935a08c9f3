import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { type Capacity, readClusterStatus } from "#core/pools/admission/availability.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { GpuCapacity, toGpuCapacities } from "../gpu/schemas.ts";
import { statusExamples } from "./internal/examples.ts";
import { EstimateErrorsByType, toEstimateErrors } from "./schemas.ts";

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
  responses: { 200: jsonReply(ClusterStatus, statusExamples[200]) },
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
