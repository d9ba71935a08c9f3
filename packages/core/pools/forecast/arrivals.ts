import type { Size } from "../../environments/record/record.ts";
import { count, number, ordinal, orNull, text } from "../../store/shape.ts";

/** Somebody who asked for capacity of a pool. `at` is ms. */
export interface Arrival {
  readonly at: number;
  readonly owner: string;
  readonly size: Pick<Size, "machines" | "units" | "wantedMs">;
  readonly zone: string | null;
}

/** The last who came to a pool, oldest first: those who come next are expected to be like them, and as many. */
export type Arrivals = readonly Arrival[];

const MOST = 100;
/** Fewer than these say too little. */
const LEAST = 5;
/** So many are expected at most in one run. */
const MOST_EXPECTED = 500;

export function addArrivals(before: Arrivals, came: readonly Arrival[]): Arrivals {
  return [...before, ...[...came].sort((a, b) => a.at - b.at)].slice(-MOST);
}

/** Who may come from now on, drawn from who came lately, at the rate at which they came. */
export function drawArrivals(arrivals: Arrivals, now: number, drawn: () => number): Arrival[] {
  const windowMs = now - (arrivals[0]?.at ?? now);
  if (arrivals.length < LEAST || windowMs <= 0) return [];
  const everyMs = windowMs / arrivals.length;
  const expected: Arrival[] = [];
  for (let at = now; expected.length < MOST_EXPECTED; ) {
    at += Math.ceil(-Math.log(1 - drawn()) * everyMs);
    const like = arrivals[Math.floor(drawn() * arrivals.length)];
    if (like) expected.push({ ...like, at });
  }
  return expected;
}

/** The form in which arrivals are stored: without names of fields. */
export function toStored(arrivals: Arrivals): unknown[][] {
  return arrivals.map(({ at, owner, zone, size }) => [at, owner, zone, size.machines, size.units, size.wantedMs]);
}

/** What was stored, or nobody where it cannot be read: only estimates hang on it. */
export function readArrivals(value: unknown): Arrivals {
  if (!Array.isArray(value)) return [];
  return value.slice(-MOST).flatMap((one: unknown): Arrival[] => {
    const [at, owner, zone, machines, units, wantedMs] = Array.isArray(one) ? (one as unknown[]) : [];
    if (!number(at) || !text(owner) || !orNull(text)(zone)) return [];
    if (!ordinal(machines) || !ordinal(units) || !count(wantedMs)) return [];
    return [{ at, owner, zone, size: { machines, units, wantedMs } }];
  });
}
