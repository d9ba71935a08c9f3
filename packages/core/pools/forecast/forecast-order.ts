import { HOUR_MS } from "../../units.ts";
import type { ForecastPool, Line } from "./forecast-pool.ts";

/** The waiting jobs of a run, and what orders them. Arrays are indexed by owner, unless they say otherwise. */
export interface WaitingOwners {
  readonly pool: ForecastPool;
  readonly begin: number;
  readonly units: Float64Array;
  /** Recent use. It decays: instead of every owner's sum, the weight of later additions grows. */
  readonly used: Float64Array;
  readonly left: Int32Array;
  /** How many jobs wait, by need. */
  readonly wanting: number[];
  /** 1 for a job that has started. */
  readonly isStarted: Uint8Array;
  /** The number of started jobs at the beginning of each line. */
  readonly passed: Int32Array;
  /** The number of jobs that waited at the beginning, and how many of them have started. */
  readonly present: number;
  started: number;
  weighedAt: number;
  weight: number;
}

/** The half-life in usage.ts. */
const HALF_LIFE_MS = 24 * HOUR_MS;

export function waitingOwners(pool: ForecastPool, begin: number): WaitingOwners {
  const { waiters, lines, needs } = pool;
  const wanting = needs.map(() => 0);
  for (const { need } of waiters) wanting[need] = (wanting[need] ?? 0) + 1;
  return {
    pool,
    begin,
    units: Float64Array.from(pool.units),
    used: Float64Array.from(pool.used),
    left: Int32Array.from(lines, (ofOwner) => ofOwner.reduce((sum, line) => sum + line.waiters.length, 0)),
    wanting,
    isStarted: new Uint8Array(waiters.length),
    passed: new Int32Array(lines.reduce((sum, ofOwner) => sum + ofOwner.length, 0)),
    present: waiters.filter(({ comesAt }) => comesAt === undefined).length,
    started: 0,
    weighedAt: begin,
    weight: 1,
  };
}

/** Returns the first present job within the limit of its need, or -1. A negative limit excludes a need. */
export function nextWaiter(owners: WaitingOwners, limits: readonly number[], now: number): number {
  const { pool, left } = owners;
  let best = -1;
  let bestOwner = -1;
  for (let owner = 0; owner < pool.lines.length; owner++) {
    if (!left[owner]) continue;
    const order = best < 0 ? -1 : compare(owners, owner, bestOwner);
    if (order > 0) continue;
    const first = getFirst(owners, pool.lines[owner] ?? [], limits, now);
    if (first === Infinity || (order === 0 && first > best)) continue;
    best = first;
    bestOwner = owner;
  }
  return best;
}

/** Orders owners by held units, then by recent use. */
function compare({ units, used }: WaitingOwners, a: number, b: number): number {
  return (units[a] ?? 0) - (units[b] ?? 0) || (used[a] ?? 0) - (used[b] ?? 0);
}

export function noteStart(owners: WaitingOwners, waiter: number): void {
  const { pool, isStarted, left, wanting, units } = owners;
  const { owner = 0, need = 0 } = pool.waiters[waiter] ?? {};
  const { machines = 0, units: each = 0 } = pool.needs[need] ?? {};
  isStarted[waiter] = 1;
  if (waiter < owners.present) owners.started += 1;
  left[owner] = (left[owner] ?? 0) - 1;
  wanting[need] = (wanting[need] ?? 0) - 1;
  units[owner] = (units[owner] ?? 0) + machines * each;
}

/** Notes the end of units that the owner held since `at`. */
export function noteReturn(owners: WaitingOwners, owner: number, returned: number, at: number, now: number): void {
  const { units, used, begin } = owners;
  units[owner] = (units[owner] ?? 0) - returned;
  if (now !== owners.weighedAt) {
    owners.weighedAt = now;
    owners.weight = 2 ** ((now - begin) / HALF_LIFE_MS);
  }
  const hours = (returned * Math.max(0, now - at)) / HOUR_MS;
  used[owner] = (used[owner] ?? 0) + hours * owners.weight;
}

function getFirst(
  { pool: { waiters }, isStarted, passed }: WaitingOwners,
  lines: readonly Line[],
  limits: readonly number[],
  now: number,
): number {
  let first = Infinity;
  for (const { need, index, waiters: line } of lines) {
    const limit = limits[need] ?? -1;
    if (limit < 0) continue;
    while (isStarted[line[passed[index] ?? 0] ?? -1]) passed[index] = (passed[index] ?? 0) + 1;
    for (let at = passed[index] ?? 0; at < line.length; at++) {
      const waiter = line[at] ?? Infinity;
      if (waiter >= first || (waiters[waiter]?.comesAt ?? now) > now) break;
      if (isStarted[waiter] || (waiters[waiter]?.wantedMs ?? Infinity) > limit) continue;
      first = waiter;
      break;
    }
  }
  return first;
}
