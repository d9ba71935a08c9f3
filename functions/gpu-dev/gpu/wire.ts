import * as z from "zod";
import { countOptions, instanceTypes } from "#core/fleet.ts";
import type { Capacity } from "#core/pools/availability.ts";
import { closedText } from "#core/pools/reasons.ts";

export const GpuCapacity = z.object({
  gpu_type: z.string(),
  total: z.int(),
  available: z.int(),
  in_use: z.int(),
  queued: z.int(),
  max_per_node: z.int(),
});

/** What a client asks before it submits. The cluster's status has the six documented keys alone. */
export const GpuAvailability = GpuCapacity.extend({
  open: z.boolean(),
  closed_reason: z.string().nullable(),
  largest_free: z.int(),
  count_options: z.array(z.int()),
  scalable: z.int(),
});

export function toGpuAvailability(pools: readonly Capacity[]): Record<string, z.infer<typeof GpuAvailability>> {
  const counts = toGpuCapacities(pools);
  return Object.fromEntries(
    pools.flatMap(({ pool, closed, largestFree, makeable }) => {
      const [count, type] = [counts[pool], instanceTypes.find((type) => type.pool === pool)];
      if (!count || !type) return [];
      const further = {
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

/** Returns the counts by type in the given order, with the same six keys in availability and status. */
export function toGpuCapacities(pools: readonly Capacity[]): Record<string, z.infer<typeof GpuCapacity>> {
  return Object.fromEntries(
    pools.map(({ pool, total, available, inUse, queued, gpusPerMachine }) => [
      pool,
      { gpu_type: pool, total, available, in_use: inUse, queued, max_per_node: gpusPerMachine },
    ]),
  );
}
