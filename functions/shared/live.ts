import * as z from "zod";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";

export const endpoint = gpuDev.get(
  "/live",
  { summary: "Whether the process answers", uses: [], public: true, reply: z.object({ status: z.literal("alive") }) },
  async () => ({ status: "alive" as const }),
);

export const handler = lambda(endpoint, {});
