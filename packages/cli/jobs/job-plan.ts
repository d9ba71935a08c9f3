import type { JobEstimate, SubmitJob } from "../../sdk/jobs.ts";
import { printable, timeSpan, told } from "../terminal/text.ts";

/** Returns what a job would cost and when it would start, line by line. */
export function planLines(request: SubmitJob, estimate: JobEstimate): string[] {
  const gpus = request.gpu_count ?? 0;
  const hours = request.duration_hours ?? 1;
  const cost = gpus > 0 ? told`${gpus} × ${hours} h = ${estimate.gpu_hours} GPU-hours` : `${hours} h without GPUs`;
  const lines = [`${request.instance_type}: ${cost}`, printable(estimate.reason)];
  const waitMs = Date.parse(estimate.estimated_start_time ?? "") - Date.now();
  if (waitMs >= 1000) lines.push(`Starts in ${timeSpan(waitMs)}, as estimated`);
  for (const { gpu_count, estimated_start_time } of estimate.alternatives) {
    if (estimated_start_time === null) continue;
    lines.push(told`${gpu_count} GPUs would start in ${timeSpan(Date.parse(estimated_start_time) - Date.now())}`);
  }
  return lines;
}
