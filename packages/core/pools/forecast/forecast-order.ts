import { HOUR_MS } from "../../units.ts";
import type { ForecastPool, Line } from "./forecast-pool.ts";

export interface WaitingOwners {
  /** Returns the first present job within the limit of its need, or -1. A negative limit excludes a need. */
  next(limits: readonly number[], now: number): number;
  start(waiter: number): void;
  gaveBack(owner: number, units: number, at: number, now: number): void;
  wanting(need: number): number;
  /** Return how many of the jobs present at the beginning still wait, and how many have started. */
  left(): number;
  started(): number;
}

/** The half-life in usage.ts. */
const HALF_LIFE_MS = 24 * HOUR_MS;

export function waitingOwners(pool: ForecastPool, begin: number): WaitingOwners {
  const { waiters, lines, needs } = pool;
  const units = Float64Array.from(pool.units);
  // Past use decays. Instead of decaying every owner's sum, later additions get a larger weight.
  const used = Float64Array.from(pool.used);
  const left = Int32Array.from(lines, (ofOwner) => ofOwner.reduce((sum, line) => sum + line.waiters.length, 0));
  const wanting = needs.map(() => 0);
  for (const { need } of waiters) wanting[need] = (wanting[need] ?? 0) + 1;
  const isStarted = new Uint8Array(waiters.length);
  /** The number of started jobs at the beginning of each line. */
  const passed = new Int32Array(lines.reduce((sum, ofOwner) => sum + ofOwner.length, 0));
  const present = waiters.filter(({ comesAt }) => comesAt === undefined).length;
  let started = 0;
  let [weighedAt, weight] = [begin, 1];

  function getFirst(ofOwner: readonly Line[], limits: readonly number[], now: number): number {
    let first = Infinity;
    for (const line of ofOwner) {
      const limit = limits[line.need] ?? -1;
      if (limit < 0) continue;
      while (isStarted[line.waiters[passed[line.index] ?? 0] ?? -1]) passed[line.index] = (passed[line.index] ?? 0) + 1;
      for (let at = passed[line.index] ?? 0; at < line.waiters.length; at++) {
        const waiter = line.waiters[at] ?? Infinity;
        if (waiter >= first || (waiters[waiter]?.comesAt ?? now) > now) break;
        if (isStarted[waiter] || (waiters[waiter]?.wantedMs ?? Infinity) > limit) continue;
        first = waiter;
        break;
      }
    }
    return first;
  }

  return {
    next(limits, now) {
      let best = -1;
      let bestOwner = -1;
      for (let owner = 0; owner < lines.length; owner++) {
        if (!left[owner]) continue;
        const order = best < 0 ? -1 : compare(owner, bestOwner);
        if (order > 0) continue;
        const first = getFirst(lines[owner] ?? [], limits, now);
        if (first === Infinity || (order === 0 && first > best)) continue;
        best = first;
        bestOwner = owner;
      }
      return best;
    },
    start(index) {
      const { owner = 0, need = 0 } = waiters[index] ?? {};
      const { machines = 0, units: each = 0 } = needs[need] ?? {};
      isStarted[index] = 1;
      if (index < present) started += 1;
      left[owner] = (left[owner] ?? 0) - 1;
      wanting[need] = (wanting[need] ?? 0) - 1;
      units[owner] = (units[owner] ?? 0) + machines * each;
    },
    gaveBack(owner, returnedUnits, at, now) {
      units[owner] = (units[owner] ?? 0) - returnedUnits;
      const hours = (returnedUnits * Math.max(0, now - at)) / HOUR_MS;
      if (now !== weighedAt) [weighedAt, weight] = [now, 2 ** ((now - begin) / HALF_LIFE_MS)];
      used[owner] = (used[owner] ?? 0) + hours * weight;
    },
    wanting: (need) => wanting[need] ?? 0,
    left: () => present - started,
    started: () => started,
  };

  /** Orders owners by held units, then by recent use. */
  function compare(a: number, b: number): number {
    return (units[a] ?? 0) - (units[b] ?? 0) || (used[a] ?? 0) - (used[b] ?? 0);
  }
}
