import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { table } from "#aws/dynamodb/table.ts";
import { queue } from "#aws/sqs/queue.ts";
import { answer } from "#http/answers/answer.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { lambda } from "#lambda/lambda.ts";
import { checkDependencies } from "./internal/dependencies.ts";

const Readiness = z
  .object({ status: z.enum(["ready", "not ready"]).describe("The state in one word.") })
  .meta({ id: "Readiness" });

const route = createRoute({
  method: "get",
  path: "/ready",
  operationId: "getReadiness",
  tags: ["Health"],
  summary: "Whether requests can be served",
  responses: {
    200: jsonReply(Readiness, { Ready: { status: "ready" } }),
    503: jsonReply(Readiness, { "Not ready": { status: "not ready" } }, "A store does not answer or takes no writes"),
  },
});

export const endpoint = gpuDev.endpoint(
  route,
  { uses: ["table", "queue"], public: true },
  async ({ ctx, deployment }) => {
    const { reason } = await checkDependencies(ctx, deployment);
    if (reason === undefined) return { status: "ready" as const };
    return answer({ status: "not ready" as const }, { status: 503 });
  },
);

export const handler = lambda(endpoint, { table, queue });
