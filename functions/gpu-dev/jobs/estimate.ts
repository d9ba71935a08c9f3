import type * as z from "zod";
import { table } from "#aws/table.ts";
import type { Size } from "#core/environments/record/record.ts";
import { estimateStart } from "#core/pools/estimate.ts";
import type { Answer } from "#core/pools/one-more.ts";
import { reasonText } from "#core/pools/reasons.ts";
import { gpuDev } from "#http/dialects/gpu-dev.ts";
import { wholeSeconds } from "#http/timestamp.ts";
import { lambda } from "#lambda/lambda.ts";
import { Submission, sizeOf, smallerSizesOf } from "./parts/submission.ts";
import { Estimated, type EstimatedTimes } from "./wire.ts";

export const endpoint = gpuDev.post(
  "/v1/jobs/estimate",
  { summary: "Estimate when a job would start", uses: ["table"], body: Submission, reply: Estimated },
  async ({ ctx, body }) => {
    const size = sizeOf(body);
    const found = await estimateStart(ctx, { size, disk: body.disk_name ?? undefined }, smallerSizesOf(body));
    if (!found) return { ...noTimes, queue_position: null, reason: "No estimate was made yet", alternatives: [] };
    const { answer, alternatives } = found;
    return {
      ...timesOf(answer),
      queue_position: answer.position,
      reason: reasonOf(answer, size),
      alternatives: alternatives.map((one) => ({ gpu_count: one.size.gpus, ...timesOf(one.answer) })),
    };
  },
);

export const handler = lambda(endpoint, { table });

const noTimes = { estimated_start_time: null, estimated_start_latest: null };

function timesOf({ p50, p90 }: Answer): z.infer<typeof EstimatedTimes> {
  return {
    estimated_start_time: p50 === null ? null : wholeSeconds(p50),
    estimated_start_latest: p90 === null ? null : wholeSeconds(p90),
  };
}

function reasonOf({ code, position, a, b }: Answer, { pool }: Size): string {
  if (code === "now") return "Would start now";
  if (code === "later") return `Starts later than ${wholeSeconds(a)}`;
  return reasonText({ code, position, a, b }, pool);
}
