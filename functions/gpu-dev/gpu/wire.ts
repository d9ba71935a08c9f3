import * as z from "zod";
import type { Capacity } from "#core/pools/availability.ts";

export const GpuCapacity = z.object({
  gpu_type: z.string(),
  total: z.int(),
  available: z.int(),
  in_use: z.int(),
  queued: z.int(),
  max_per_node: z.int(),
});

/** Returns the counts by type in the given order, with the same six keys in availability and status. */
export function toGpuCapacities(pools: readonly Capacity[]): Record<string, z.infer<typeof GpuCapacity>> {
  return Object.fromEntries(
    pools.map(({ pool, total, available, inUse, queued, gpusPerMachine }) => [
      pool,
      { gpu_type: pool, total, available, in_use: inUse, queued, max_per_node: gpusPerMachine },
    ]),
  );
}
