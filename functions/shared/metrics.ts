import { createRoute } from "@hono/zod-openapi";
import * as z from "zod";
import { readOperation } from "#core/admin/operation.ts";
import { answer } from "#http/answers/answer.ts";
import { prometheusText, prometheusType } from "#http/answers/prometheus.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { jsonReply } from "#http/route.ts";
import { metricFamilies } from "./internal/metric-families.ts";

const route = createRoute({ method: "get", path: "/metrics", hide: true, responses: { 200: jsonReply(z.string()) } });

/**
 * Needs no key, so a server must never serve it at the public address. The numbers come from the stores, so they
 * include other processes.
 */
export const internal = gpuDev.endpoint(route, { uses: ["table", "queue"], public: true }, async ({ ctx }) => {
  const families = metricFamilies(await readOperation(ctx), ctx.clock.now());
  return answer(prometheusText(families), { contentType: prometheusType });
});
