import { HOUR_MS } from "../../units.ts";

/**
 * How much of the time that they asked for jobs really took: counts by share of it, in steps of a twentieth below the
 * whole, then those that took the whole. A list is halved when it is full, so that the past fades.
 */
export interface Durations {
  readonly all: readonly number[];
  /** How long those that took the whole of it kept their capacity beyond that, on average: made ready, removed. */
  readonly overMs: number;
  /** The durations of the owners with the most runs. */
  readonly owners: Readonly<Record<string, readonly number[]>>;
}

const STEPS = 20;
const FULL = 400;
const MOST_OWNERS = 64;
const MOST_OVER_MS = HOUR_MS;
/** Fewer runs than these say too little of an owner; of a pool, the missing ones count as having taken the whole. */
const LEAST_RUNS = 20;

export const noDurations: Durations = { all: [], overMs: 0, owners: {} };

/** The record once a run is known that kept its capacity for `tookMs` and had asked for `wantedMs`. */
export function addRun(
  before: Durations,
  { owner, tookMs, wantedMs }: { readonly owner: string; readonly tookMs: number; readonly wantedMs: number },
): Durations {
  if (!(wantedMs > 0) || !(tookMs >= 0)) return before;
  const step = Math.min(STEPS, Math.floor((tookMs / wantedMs) * STEPS));
  const owners = new Map(Object.entries(before.owners));
  const own = owners.get(owner);
  if (!own && owners.size >= MOST_OWNERS) owners.delete(fewestOf(owners));
  owners.set(owner, counted(own ?? [], step));
  const over = Math.min(tookMs - wantedMs, MOST_OVER_MS) - before.overMs;
  return {
    all: counted(before.all, step),
    overMs: Math.round(step < STEPS ? before.overMs : before.overMs + over / LEAST_RUNS),
    owners: Object.fromEntries(owners),
  };
}

/** What several records say together; each owner is in one of them. */
export function addDurations(records: readonly Durations[]): Durations {
  const runs = records.map(({ all }) => sum(all));
  const weighted = records.map(({ overMs }, index) => overMs * (runs[index] ?? 0));
  return {
    all: Array.from({ length: STEPS + 1 }, (_, step) => sum(records.map(({ all }) => all[step] ?? 0))),
    overMs: Math.round(sum(weighted) / Math.max(1, sum(runs))),
    owners: Object.fromEntries(records.flatMap(({ owners }) => Object.entries(owners))),
  };
}

/** Counts to draw from: by share, in the same steps. `atLeast[step]` is the sum of the counts from this step on. */
export interface Odds {
  readonly counts: readonly number[];
  readonly atLeast: readonly number[];
}

/** Returns what to draw an owner's jobs from. */
export function oddsFor({ all, owners }: Durations, owner: string): Odds {
  const own = Object.hasOwn(owners, owner) ? owners[owner] : undefined;
  const isKnown = own !== undefined && sum(own) >= LEAST_RUNS;
  const known = isKnown ? own : all;
  const missing = isKnown ? 0 : Math.max(0, LEAST_RUNS - sum(all));
  const counts = Array.from({ length: STEPS + 1 }, (_, step) => (known[step] ?? 0) + (step === STEPS ? missing : 0));
  return { counts, atLeast: counts.map((_, step) => sum(counts.slice(step))) };
}

/**
 * Draws which share of its wanted time a job takes, 1 for the whole, by a number in [0, 1). A job that has run for
 * `spent` of it already takes more than that. A forecast of a large pool draws a million shares.
 */
export function drawShare({ counts, atLeast }: Odds, drawn: number, spent = 0): number {
  const first = Math.min(STEPS, Math.max(0, Math.floor(spent * STEPS)));
  // Only this part of the first step is still to come.
  const part = first < STEPS ? Math.min(1, 1 - (spent * STEPS - first)) : 1;
  const weight = (counts[first] ?? 0) * part;
  const longer = atLeast[first + 1] ?? 0;
  const rest = drawn * (weight + longer);
  if (first < STEPS && rest < weight) return (first + 1 - part + (rest / weight) * part) / STEPS;
  // The step in which the draw lies is the last one that at least so many runs reach.
  const reaching = longer - (rest - weight);
  if ((atLeast[STEPS] ?? 0) >= reaching) return 1;
  let step = first + 1;
  while ((atLeast[step + 1] ?? 0) >= reaching) step += 1;
  return (step + ((atLeast[step] ?? 0) - reaching) / (counts[step] ?? 1)) / STEPS;
}

/** What was stored, or nothing where it cannot be read: only estimates hang on it. */
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

function fewestOf(owners: ReadonlyMap<string, readonly number[]>): string {
  let fewest = { owner: "", runs: Number.POSITIVE_INFINITY };
  for (const [owner, counts] of owners) {
    const runs = sum(counts);
    if (runs < fewest.runs) fewest = { owner, runs };
  }
  return fewest.owner;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, one) => total + one, 0);
}
