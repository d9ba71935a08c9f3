import type { Size } from "../../environments/record/record.ts";
import { count, number, ordinal, orNull, text } from "../../store/shape.ts";

/** A request for capacity of a pool. `at` is ms. */
export interface Arrival {
  readonly at: number;
  readonly owner: string;
  readonly size: Pick<Size, "machines" | "units" | "wantedMs">;
  readonly zone: string | null;
}

/** The latest requests to a pool, oldest first. The forecast expects similar requests at the same rate. */
export type Arrivals = readonly Arrival[];

const MOST = 100;
/** With fewer arrivals, no rate is estimated. */
const LEAST = 5;
const MOST_EXPECTED = 500;

export function addArrivals(before: Arrivals, came: readonly Arrival[]): Arrivals {
  return [...before, ...[...came].sort((a, b) => a.at - b.at)].slice(-MOST);
}

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

export function toStored(arrivals: Arrivals): unknown[][] {
  return arrivals.map(({ at, owner, zone, size }) => [at, owner, zone, size.machines, size.units, size.wantedMs]);
}

/** Parses stored arrivals. Unreadable entries are dropped, because only estimates use them. */
export function readArrivals(value: unknown): Arrivals {
  if (!Array.isArray(value)) return [];
  return value.slice(-MOST).flatMap((value: unknown): Arrival[] => {
    const [at, owner, zone, machines, units, wantedMs] = Array.isArray(value) ? (value as unknown[]) : [];
    if (!number(at) || !text(owner) || !orNull(text)(zone)) return [];
    if (!ordinal(machines) || !ordinal(units) || !count(wantedMs)) return [];
    return [{ at, owner, zone, size: { machines, units, wantedMs } }];
  });
}
