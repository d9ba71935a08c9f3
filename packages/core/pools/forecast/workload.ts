import type { Size } from "../../environments/record/record.ts";
import { count, number, ordinal, orNull, text } from "../../store/shape.ts";
import { HOUR_MS } from "../../units.ts";

/**
 * A histogram of the fraction of the requested time that jobs used, in steps of 5 %. The last step is the full time. A
 * full list is halved, so that old runs fade.
 */
export interface Durations {
  readonly all: readonly number[];
  /** Mean time beyond the requested time for which full-time jobs kept capacity, ms: preparation and removal. */
  readonly overMs: number;
  readonly owners: Readonly<Record<string, readonly number[]>>;
}

const STEPS = 20;
const FULL = 400;
const MOST_OWNERS = 64;
const MOST_OVER_MS = HOUR_MS;
/** With fewer runs, an owner's histogram is not used. A pool's missing runs count as full-time. */
const LEAST_RUNS = 20;

export const noDurations: Durations = { all: [], overMs: 0, owners: {} };

export function addRun(
  before: Durations,
  { owner, tookMs, wantedMs }: { readonly owner: string; readonly tookMs: number; readonly wantedMs: number },
): Durations {
  if (!(wantedMs > 0) || !(tookMs >= 0)) return before;
  const step = Math.min(STEPS, Math.floor((tookMs / wantedMs) * STEPS));
  const owners = new Map(Object.entries(before.owners));
  const ownDurations = owners.get(owner);
  if (!ownDurations && owners.size >= MOST_OWNERS) owners.delete(getFewest(owners));
  owners.set(owner, counted(ownDurations ?? [], step));
  const over = Math.min(tookMs - wantedMs, MOST_OVER_MS) - before.overMs;
  return {
    all: counted(before.all, step),
    overMs: Math.round(step < STEPS ? before.overMs : before.overMs + over / LEAST_RUNS),
    owners: Object.fromEntries(owners),
  };
}

/** Merges records. Each owner is in only one of them. */
export function addDurations(records: readonly Durations[]): Durations {
  const runs = records.map(({ all }) => sum(all));
  const weighted = records.map(({ overMs }, index) => overMs * (runs[index] ?? 0));
  return {
    all: Array.from({ length: STEPS + 1 }, (_, step) => sum(records.map(({ all }) => all[step] ?? 0))),
    overMs: Math.round(sum(weighted) / Math.max(1, sum(runs))),
    owners: Object.fromEntries(records.flatMap(({ owners }) => Object.entries(owners))),
  };
}

/** The counts to draw from, per step. `atLeast[step]` is the sum of the counts from this step on. */
export interface Odds {
  readonly counts: readonly number[];
  readonly atLeast: readonly number[];
}

export function oddsFor({ all, owners }: Durations, owner: string): Odds {
  const ownDurations = Object.hasOwn(owners, owner) ? owners[owner] : undefined;
  const isKnown = ownDurations !== undefined && sum(ownDurations) >= LEAST_RUNS;
  const durations = isKnown ? ownDurations : all;
  const missing = isKnown ? 0 : Math.max(0, LEAST_RUNS - sum(all));
  const counts = Array.from(
    { length: STEPS + 1 },
    (_, step) => (durations[step] ?? 0) + (step === STEPS ? missing : 0),
  );
  return { counts, atLeast: counts.map((_, step) => sum(counts.slice(step))) };
}

/**
 * Draws the fraction of its requested time that a job uses, from a number in [0, 1). A job that has already used the
 * fraction `spent` gets a larger one. A forecast of a large pool draws a million fractions.
 */
export function drawShare({ counts, atLeast }: Odds, drawn: number, spent = 0): number {
  const first = Math.min(STEPS, Math.max(0, Math.floor(spent * STEPS)));
  const part = first < STEPS ? Math.min(1, 1 - (spent * STEPS - first)) : 1;
  const weight = (counts[first] ?? 0) * part;
  const longer = atLeast[first + 1] ?? 0;
  const rest = drawn * (weight + longer);
  if (first < STEPS && rest < weight) return (first + 1 - part + (rest / weight) * part) / STEPS;
  // The draw lies in the last step that at least this many runs reach.
  const reaching = longer - (rest - weight);
  if ((atLeast[STEPS] ?? 0) >= reaching) return 1;
  let step = first + 1;
  while ((atLeast[step + 1] ?? 0) >= reaching) step += 1;
  return (step + ((atLeast[step] ?? 0) - reaching) / (counts[step] ?? 1)) / STEPS;
}

/** Parses stored durations. Unreadable ones count as empty, because only estimates use them. */
export function readDurations(value: unknown): Durations {
  if (typeof value !== "object" || value === null) return noDurations;
  const { all, overMs, owners } = value as Partial<Record<keyof Durations, unknown>>;
  if (!isCounts(all) || typeof overMs !== "number" || !(overMs >= 0 && overMs <= MOST_OVER_MS)) return noDurations;
  if (typeof owners !== "object" || owners === null) return noDurations;
  const lists = Object.entries(owners).filter((entry): entry is [string, number[]] => isCounts(entry[1]));
  return { all, overMs, owners: Object.fromEntries(lists.slice(0, MOST_OWNERS)) };
}

function isCounts(value: unknown): value is readonly number[] {
  if (!Array.isArray(value) || value.length > STEPS + 1) return false;
  return value.every((count) => Number.isInteger(count) && count >= 0 && count <= FULL);
}

function counted(counts: readonly number[], step: number): number[] {
  const sofar = sum(counts) >= FULL ? counts.map((count) => Math.floor(count / 2)) : counts;
  const length = Math.max(sofar.length, step + 1);
  return Array.from({ length }, (_, index) => (sofar[index] ?? 0) + (index === step ? 1 : 0));
}

function getFewest(owners: ReadonlyMap<string, readonly number[]>): string {
  let fewest = { owner: "", runs: Number.POSITIVE_INFINITY };
  for (const [owner, counts] of owners) {
    const runs = sum(counts);
    if (runs < fewest.runs) fewest = { owner, runs };
  }
  return fewest.owner;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, value) => total + value, 0);
}

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
