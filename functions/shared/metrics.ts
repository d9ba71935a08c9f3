import * as z from "zod";
import { readOperation } from "#core/admin/operation.ts";
import { answer } from "#http/answer.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { prometheusText, prometheusType } from "#http/prometheus.ts";
import { metricFamilies } from "./parts/metric-families.ts";

/**
 * Without a key, so never at the public address: whoever serves it chooses where. Its numbers come from the stores, so
 * that they are whole although requests, looks and plans are other processes.
 */
export const internal = gpuDev.get(
  "/metrics",
  { summary: "Numbers for the operator, for Prometheus", uses: ["table", "queue"], public: true, reply: z.string() },
  async ({ ctx }) => {
    const families = metricFamilies(await readOperation(ctx), ctx.clock.now());
    return answer(prometheusText(families), { contentType: prometheusType });
  },
);
