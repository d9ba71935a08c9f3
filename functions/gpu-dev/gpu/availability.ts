import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { readCapacity } from "#core/pools/admission/availability.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { GpuAvailability, toGpuAvailability } from "./schemas.ts";

const Availability = z
  .object({
    availability: z.record(z.string(), GpuAvailability).describe("Numbers for each GPU type."),
    timestamp: Timestamp.describe("When these values were read."),
  })
  .meta({ id: "Availability" });

const counts = [1, 2, 4, 8, 16, 24, 32, 40, 48, 56, 64];
const open = { open: true, closed_reason: null, largest_free: 8, count_options: counts, scalable: 0 };

const route = createRoute({
  method: "get",
  path: "/v1/gpu/availability",
  operationId: "getAvailability",
  tags: ["Capacity"],
  summary: "GPUs by type: how many there are, in use, wanted and free",
  responses: {
    200: jsonReply(Availability, {
      "Two types": {
        availability: {
          h100: {
            gpu_type: "h100",
            total: 16,
            available: 8,
            in_use: 8,
            queued: 4,
            max_per_node: 8,
            instance_type: "p5.48xlarge",
            ...open,
          },
          a100: {
            gpu_type: "a100",
            total: 16,
            available: 12,
            in_use: 4,
            queued: 0,
            max_per_node: 8,
            instance_type: "p4d.24xlarge",
            ...open,
          },
        },
        timestamp: "2026-01-20T18:30:00Z",
      },
    }),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], etag: ["timestamp"] }, async ({ ctx }) => {
  const { pools, countedAt } = await readCapacity(ctx);
  const present = pools.filter(({ hasMachines, isAdded }) => hasMachines || isAdded);
  return { availability: toGpuAvailability(present), timestamp: wholeSeconds(countedAt) };
});

export const handler = lambda(endpoint, { table });
