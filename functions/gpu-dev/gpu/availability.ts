import * as z from "zod";
import { table } from "#aws/table.ts";
import { readCapacity } from "#core/pools/availability.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { Timestamp, wholeSeconds } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { GpuAvailability, toGpuAvailability } from "./wire.ts";

const Availability = z.object({ availability: z.record(z.string(), GpuAvailability), timestamp: Timestamp });

export const endpoint = gpuDev.get(
  "/v1/gpu/availability",
  {
    summary: "GPUs by type: how many there are, in use, wanted and free",
    uses: ["table"],
    reply: Availability,
    etag: ["timestamp"],
  },
  async ({ ctx }) => {
    const { pools, countedAt } = await readCapacity(ctx);
    const present = pools.filter(({ hasMachines }) => hasMachines);
    return { availability: toGpuAvailability(present), timestamp: wholeSeconds(countedAt) };
  },
);

export const handler = lambda(endpoint, { table });
