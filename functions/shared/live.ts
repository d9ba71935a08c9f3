import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";

const route = createRoute({
  method: "get",
  path: "/live",
  operationId: "getLiveness",
  tags: ["Health"],
  summary: "Whether the process answers",
  description: "Checks nothing outside the process.",
  responses: {
    200: jsonReply(
      z.object({ status: z.literal("alive").describe("The state in one word.") }).meta({ id: "Liveness" }),
      { Alive: { status: "alive" } },
    ),
  },
});

export const endpoint = gpuDev.endpoint(route, { uses: [], public: true }, async () => ({ status: "alive" as const }));

export const handler = lambda(endpoint, {});
