import * as z from "zod";
import { queue } from "#aws/queue.ts";
import { table } from "#aws/table.ts";
import { answer } from "#http/answer.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkDependencies } from "./parts/dependencies.ts";

const Readiness = z.object({ status: z.enum(["ready", "not ready"]) });

export const endpoint = gpuDev.get(
  "/ready",
  { summary: "Whether requests can be served", uses: ["table", "queue"], public: true, reply: Readiness },
  async ({ ctx, deployment }) => {
    const { reason } = await checkDependencies(ctx, deployment);
    if (reason === undefined) return { status: "ready" as const };
    return answer({ status: "not ready" as const }, { status: 503 });
  },
);

export const handler = lambda(endpoint, { table, queue });
