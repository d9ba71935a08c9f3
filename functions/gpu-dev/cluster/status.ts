import * as z from "zod";
import { table } from "#aws/table.ts";
import { type Capacity, readClusterStatus } from "#core/pools/availability.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { Timestamp, wholeSeconds } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { GpuCapacity, toGpuCapacities } from "../gpu/wire.ts";
import { EstimateErrorsByType, toEstimateErrors } from "./wire.ts";

const ClusterStatus = z.object({
  total_gpus: z.int(),
  available_gpus: z.int(),
  in_use_gpus: z.int(),
  queued_gpus: z.int(),
  active_reservations: z.int(),
  preparing_reservations: z.int(),
  queued_reservations: z.int(),
  pending_reservations: z.literal(0),
  by_gpu_type: z.record(z.string(), GpuCapacity),
  estimate_errors: EstimateErrorsByType,
  timestamp: Timestamp,
});

export const endpoint = gpuDev.get(
  "/v1/cluster/status",
  { summary: "GPUs and reservations of the whole cluster", uses: ["table"], reply: ClusterStatus },
  async ({ ctx }) => {
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
  },
);

export const handler = lambda(endpoint, { table });
