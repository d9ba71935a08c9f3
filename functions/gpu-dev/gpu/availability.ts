import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { readCapacity } from "#core/pools/admission/availability.ts";
import { Timestamp, wholeSeconds } from "#http/answers/timestamp.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { availabilityExamples } from "./internal/examples.ts";
import { GpuAvailability, toGpuAvailability } from "./schemas.ts";

const Availability = z
  .object({
    availability: z.record(z.string(), GpuAvailability).describe("Numbers for each GPU type."),
    timestamp: Timestamp.describe("When these values were read."),
  })
  .meta({ id: "Availability" });

const route = createRoute({
  method: "get",
  path: "/v1/gpu/availability",
  operationId: "getAvailability",
  tags: ["Capacity"],
  summary: "GPUs by type: how many there are, in use, wanted and free",
  responses: { 200: jsonReply(Availability, availabilityExamples[200]) },
});

export const endpoint = gpuDev.endpoint(route, { uses: ["table"], etag: ["timestamp"] }, async ({ ctx }) => {
  const { pools, countedAt } = await readCapacity(ctx);
  const present = pools.filter(({ hasMachines }) => hasMachines);
  return { availability: toGpuAvailability(present), timestamp: wholeSeconds(countedAt) };
});

export const handler = lambda(endpoint, { table });
