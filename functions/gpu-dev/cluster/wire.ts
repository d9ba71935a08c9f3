import * as z from "zod";
import type { EstimateErrors } from "#core/pools/estimate-errors.ts";

/** How wrong the estimates of a type's last starts were (docs/apis/gpu-dev.md#capacity). */
const EstimateError = z.object({
  starts: z.int(),
  covered: z.number(),
  median_error: z.number(),
});
export const EstimateErrorsByType = z.record(z.string(), EstimateError);

export function toEstimateErrors(all: readonly EstimateErrors[]): z.infer<typeof EstimateErrorsByType> {
  return Object.fromEntries(
    all.map(({ type, starts, covered, medianError }) => [type, { starts, covered, median_error: medianError }]),
  );
}
