import type { Expected } from "./forecast.ts";

/** Returns the times by which half and nine tenths of the runs have it. Infinity stands for a run without it. */
export function summarizeTimes(times: readonly number[]): Expected {
  const sorted = [...times].sort((a, b) => a - b);
  return { p50: rank(sorted, 0.5), p90: rank(sorted, 0.9) };
}

/** Uses the nearest-rank method. */
function rank(sorted: readonly number[], part: number): number | null {
  const time = sorted[Math.ceil(part * sorted.length) - 1] ?? Infinity;
  return time === Infinity ? null : time;
}
