import * as z from "zod";
import type { EstimateErrors } from "#core/pools/forecast/estimate-errors.ts";

const EstimateError = z
  .object({
    starts: z.int().describe("Number of starts that the figures are computed from."),
    covered: z
      .number()
      .describe("Share of those starts, 0 to 1, that came no later than `estimated_start_latest` said."),
    median_error: z.number().describe("Median error of `estimated_start_time`, as a share of the real wait."),
  })
  .meta({ id: "EstimateError" });
export const EstimateErrorsByType = z.record(z.string(), EstimateError);

export function toEstimateErrors(all: readonly EstimateErrors[]): z.infer<typeof EstimateErrorsByType> {
  return Object.fromEntries(
    all.map(({ type, starts, covered, medianError }) => [type, { starts, covered, median_error: medianError }]),
  );
}
