import type { Expected } from "./forecast.ts";
import { summarizeTimes } from "./percentiles.ts";

/** Room before the reserved start, found by one run, for jobs that want it no longer than it lasts. Times are ms. */
export interface FoundGap {
  readonly startsAt: number;
  readonly lastsMs: number;
}

/** A job that wants no more than `lastsMs` may start at this time. */
export type Gap = readonly [lastsMs: number, p50: number, p90: number | null];

/** Gaps kept per size. A job between two of them gets the later start. */
const MOST_GAPS = 4;
const MOST_FOUND = 8;

/** Reports whether a gap is worth keeping. Each later gap must last longer. */
export function isLonger(found: readonly FoundGap[], lastsMs: number): boolean {
  return found.length < MOST_FOUND && lastsMs > (found.at(-1)?.lastsMs ?? 0);
}

/** Merges the gaps of all runs, shortest and earliest first, up to the time with room for good. */
export function findGaps(
  runs: readonly { readonly found: readonly FoundGap[]; readonly roomAt: number }[],
  room: Expected,
): Gap[] {
  const lasting = new Set(runs.flatMap(({ found }) => found.map(({ lastsMs }) => lastsMs)));
  const gaps: Gap[] = [];
  let last = room;
  for (const lastsMs of [...lasting].sort((a, b) => b - a)) {
    const getStart = (found: readonly FoundGap[]) =>
      found.find((foundGap) => foundGap.lastsMs >= lastsMs)?.startsAt ?? Infinity;
    const times = runs.map(({ found, roomAt }) => Math.min(roomAt, getStart(found)));
    const { p50, p90 } = summarizeTimes(times);
    if (p50 === null || (last.p50 === p50 && last.p90 === p90)) continue;
    last = { p50, p90 };
    gaps.unshift([lastsMs, p50, p90]);
  }
  const step = Math.ceil(gaps.length / MOST_GAPS);
  return gaps.filter((_, index) => (gaps.length - 1 - index) % step === 0);
}

/** Returns the first gap that lasts long enough. A gap that has begun is shorter by the elapsed time. */
export function gapFor(gaps: readonly Gap[], wantedMs: number, now: number): Expected | undefined {
  const found = gaps.find(([lastsMs, p50]) => Math.max(0, now - p50) + wantedMs <= lastsMs);
  return found && { p50: found[1], p90: found[2] };
}
