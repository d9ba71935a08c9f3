import type { Expected } from "./forecast.ts";

/** By when it has come in half, and in nine of ten, of the runs; Infinity: not in that run. */
export function expectedOf(times: readonly number[]): Expected {
  const sorted = [...times].sort((a, b) => a - b);
  return { p50: rank(sorted, 0.5), p90: rank(sorted, 0.9) };
}

/** By the nearest rank. */
function rank(sorted: readonly number[], part: number): number | null {
  const time = sorted[Math.ceil(part * sorted.length) - 1] ?? Infinity;
  return time === Infinity ? null : time;
}
