import type { Expected } from "./forecast.ts";
import { expectedOf } from "./rank.ts";

/** Room before the reserved start, as one run found it: for whoever wants it for no longer than it lasts. Times are ms. */
export interface FoundGap {
  readonly startsAt: number;
  readonly lastsMs: number;
}

/** Who wants it for no longer than this may start then. */
export type Gap = readonly [lastsMs: number, p50: number, p90: number | null];

/** So many are kept of each size: who wants it for a time between two of them is told the later start. */
const MOST_GAPS = 4;
/** So many gaps of one run are kept. */
const MOST_FOUND = 8;

/** Whether room that lasts so long is news, where each one found later lasts longer. */
export function isLonger(found: readonly FoundGap[], lastsMs: number): boolean {
  return found.length < MOST_FOUND && lastsMs > (found.at(-1)?.lastsMs ?? 0);
}

/** Merges what all runs found: the shortest first, each later than the last, and all before there is room for good. */
export function gapsOf(
  runs: readonly { readonly found: readonly FoundGap[]; readonly roomAt: number }[],
  room: Expected,
): Gap[] {
  const lasting = new Set(runs.flatMap(({ found }) => found.map(({ lastsMs }) => lastsMs)));
  const gaps: Gap[] = [];
  let last = room;
  for (const lastsMs of [...lasting].sort((a, b) => b - a)) {
    const startOf = (found: readonly FoundGap[]) => found.find((one) => one.lastsMs >= lastsMs)?.startsAt ?? Infinity;
    const times = runs.map(({ found, roomAt }) => Math.min(roomAt, startOf(found)));
    const { p50, p90 } = expectedOf(times);
    if (p50 === null || (last.p50 === p50 && last.p90 === p90)) continue;
    last = { p50, p90 };
    gaps.unshift([lastsMs, p50, p90]);
  }
  const step = Math.ceil(gaps.length / MOST_GAPS);
  return gaps.filter((_, index) => (gaps.length - 1 - index) % step === 0);
}

/** The first that lasts for as long as is wanted. One that has begun is shorter by the time since then. */
export function gapFor(gaps: readonly Gap[], wantedMs: number, now: number): Expected | undefined {
  const found = gaps.find(([lastsMs, p50]) => Math.max(0, now - p50) + wantedMs <= lastsMs);
  return found && { p50: found[1], p90: found[2] };
}
