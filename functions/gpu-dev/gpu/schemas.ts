import * as z from "zod";
import { countOptions, instanceTypes } from "#core/fleet.ts";
import type { Capacity } from "#core/pools/admission/availability.ts";
import { closedText } from "#core/pools/plan/reasons.ts";

export const GpuCapacity = z
  .object({
    gpu_type: z.string().describe("The type of GPU."),
    total: z.int().describe("Number of GPUs of this type."),
    available: z.int().describe("Number of GPUs that are free now. A machine that is down has none."),
    in_use: z.int().describe("Number of GPUs in use by jobs."),
    queued: z.int().describe("Number of GPUs that waiting jobs asked for."),
    max_per_node: z.int().describe("Number of GPUs in one machine."),
  })
  .meta({ id: "GpuCapacity" });

/** Adds what a client needs before it submits. The status of the cluster has only the six documented keys. */
export const GpuAvailability = GpuCapacity.extend({
  instance_type: z.string().describe("The machine of this type, as a job names it."),
  open: z.boolean().describe("Whether jobs of this type start now. They may be submitted in any case."),
  closed_reason: z.string().nullable().describe("Why no job of this type starts now. Null while they do."),
  largest_free: z.int().describe("Number of GPUs that are free on one machine, at most."),
  count_options: z.array(z.int()).describe("The values of `gpu_count` that a job of this type may have."),
  scalable: z
    .int()
    .describe(
      "Number of machines that its node group could still make. Their GPUs count as free, unless the provider lacks machines.",
    ),
}).meta({ id: "GpuAvailability" });

export function toGpuAvailability(pools: readonly Capacity[]): Record<string, z.infer<typeof GpuAvailability>> {
  const counts = toGpuCapacities(pools);
  return Object.fromEntries(
    pools.flatMap(({ pool, closed, largestFree, makeable }) => {
      const [count, type] = [counts[pool], instanceTypes.find((type) => type.pool === pool)];
      if (!count || !type) return [];
      const further = {
        instance_type: type.name,
        open: closed === null,
        closed_reason: closed && closedText(closed, pool),
        largest_free: largestFree,
        count_options: countOptions(type),
        scalable: makeable,
      };
      return [[pool, { ...count, ...further }]];
    }),
  );
}

export function toGpuCapacities(pools: readonly Capacity[]): Record<string, z.infer<typeof GpuCapacity>> {
  return Object.fromEntries(
    pools.map(({ pool, total, available, inUse, queued, gpusPerMachine }) => [
      pool,
      { gpu_type: pool, total, available, in_use: inUse, queued, max_per_node: gpusPerMachine },
    ]),
  );
}
