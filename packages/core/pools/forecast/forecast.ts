import { MOST_MACHINES } from "../../fleet.ts";
import type { Clock } from "../../ports/clock.ts";
import { DAY_MS } from "../../units.ts";
import type { Need } from "../plan/free-units.ts";
import type { AllNodes } from "../plan/new-machines.ts";
import { listNewZones } from "../plan/new-machines.ts";
import type { PlanInput } from "../plan/plan.ts";
import { buildForecastPool, type ForecastPool, withArrivals } from "./forecast-pool.ts";
import { type FoundGap, type Run, type RunOptions, runForward } from "./forecast-run.ts";
import { type Arrivals, type Durations, drawArrivals, drawShare, oddsFor } from "./workload.ts";

export interface ForecastInput {
  readonly plan: PlanInput;
  readonly nodes?: AllNodes;
  readonly durations: Durations;
  readonly arrivals?: Arrivals;
  /** The number of the plan. The same seed gives the same draws. */
  readonly seed: number;
  readonly clock: Pick<Clock, "monotonic">;
  readonly budgetMs?: number;
  readonly runs?: number;
  readonly mostStarts?: number;
}

export interface Expected {
  /** The times by which it happens in half and in nine of ten runs. null if fewer runs reach it. */
  readonly p50: number | null;
  readonly p90: number | null;
}

/** When there is room for good, and earlier gaps for short jobs. */
export interface Room extends Expected, Need {
  readonly gaps?: readonly Gap[] | undefined;
}

export interface Forecast {
  readonly at: number;
  /** Waiting jobs, oldest first, without those that can never fit. */
  readonly waiting: readonly (Expected & { readonly uid: string })[];
  /** When there is room behind all waiting jobs, for common sizes. */
  readonly room: readonly Room[];
  /** How far all runs went: a time of null is later than this. If it is null, a time of null means never. */
  readonly later: number | null;
}

const RUNS = 16;
/** Additional runs without arrivals. They also look for room. */
const ROOM_RUNS = 4;
/** Offset that keeps the seeds of arrivals and durations distinct. */
const MOST_RUNS = 1_000;
const MOST_STARTS = 2_000;
const BUDGET_MS = 500;
/** Runs without arrivals process this many ends even on a slow machine. */
const LEAST_ENDS = 256;
const REACH_MS = 7 * DAY_MS;
/** Stands for a zone without machines, where machines can be created in any zone. */
export const ELSEWHERE = "";
const MOST_ZONES = 6;

/**
 * Estimates starts by simulating the plan 16 times (docs/architecture/estimates.md). Each job uses as much of its
 * wanted time as similar jobs did, and new jobs arrive as they did lately: under fair shares, a later job often starts
 * sooner. Nothing starts while the pool is closed.
 */
export function forecast(input: ForecastInput): Forecast {
  const { plan, clock, budgetMs = BUDGET_MS, runs = RUNS } = input;
  if (plan.closed) return { at: plan.now, waiting: [], room: [], later: plan.now };
  const begun = clock.monotonic();
  const pool = buildForecastPool(plan, input.nodes);
  const isOverAt = (part: number) => () => clock.monotonic() > begun + budgetMs * part;
  const getRun = (run: number, arrivals: Arrivals, rest: Pick<RunOptions, "asked" | "isOver" | "leastEnds">) => {
    const coming = drawArrivals(arrivals, plan.now, drawnFrom(input.seed, MOST_RUNS + run));
    const crowded = withArrivals(pool, coming, plan);
    return runForward(crowded, { ...buildOptions(input, crowded, run), ...rest });
  };
  // An estimate is placed before later arrivals, so room is searched without them. These runs go first: they alone give
  // every job a time, while arrivals can make the others too slow to reach any.
  const usual = usualNeeds(plan);
  const isSpent = isOverAt(1);
  const finding: Run[] = [];
  for (let run = 0; run < ROOM_RUNS && (run === 0 || !isSpent()); run++) {
    const isOver = isOverAt((run + 1) / ROOM_RUNS);
    finding.push(getRun(runs + run, [], { asked: usual, isOver, leastEnds: LEAST_ENDS }));
  }
  // Without waiting jobs there are no starts to simulate. Most plans are of such a pool.
  const starting = pool.waiters.length === 0 ? 0 : runs;
  const spent = (clock.monotonic() - begun) / budgetMs;
  const starts = Array.from({ length: starting }, (_, run) => {
    const alone = finding[run % finding.length];
    // A run begins by visiting all occupants, so none begins once the budget is spent.
    if (alone && isSpent()) return alone;
    const isOver = isOverAt(spent + ((1 - spent) * (run + 1)) / runs);
    return goneOn(getRun(run, input.arrivals ?? [], { asked: [], isOver, leastEnds: 0 }), alone);
  });
  const later = Math.min(...[...starts, ...finding].map(({ wentTo }) => wentTo));
  return {
    at: plan.now,
    waiting: pool.waiters.map(({ uid }, index) => ({ uid, ...expected(starts, "startsAt", index) })),
    room: usual.map((need, index) => {
      const room = expected(finding, "roomAt", index);
      const found = finding.map(({ gaps, roomAt }) => ({
        found: gaps[index] ?? [],
        roomAt: roomAt[index] ?? Infinity,
      }));
      return { ...need, ...room, gaps: findGaps(found, room) };
    }),
    later: later === Infinity ? null : later,
  };
}

/** Completes a run that was cut short from the run without arrivals, with no start before the cut. */
function goneOn(run: Run, alone: Run | undefined): Run {
  if (!run.isCut || !alone || alone.wentTo <= run.wentTo) return run;
  const startsAt = run.startsAt.map((at, index) =>
    at === Infinity ? Math.max(run.wentTo, alone.startsAt[index] ?? Infinity) : at,
  );
  return { ...run, startsAt, wentTo: alone.wentTo };
}

function buildOptions(
  { plan, durations, seed, mostStarts = MOST_STARTS }: ForecastInput,
  pool: ForecastPool,
  run: number,
): Omit<RunOptions, "asked" | "isOver" | "leastEnds"> {
  const drawn = drawnFrom(seed, run);
  const odds = pool.owners.map((owner) => oddsFor(durations, owner));
  return {
    now: plan.now,
    startupMs: plan.startupMs,
    tookMs(owner, wantedMs, spentMs) {
      const ownOdds = odds[owner];
      const share = ownOdds ? drawShare(ownOdds, drawn(), wantedMs > 0 ? spentMs / wantedMs : 0) : 1;
      return share < 1 ? share * wantedMs : wantedMs + durations.overMs;
    },
    mostStarts,
    until: plan.now + REACH_MS,
  };
}

/** Returns common sizes, in any zone and in each: parts of a machine by powers of two, and whole machines. */
function usualNeeds({ nodes, makeable, unitsPerNode }: PlanInput): Need[] {
  const sizes: Omit<Need, "zone">[] = [];
  for (let units = 1; units < unitsPerNode; units *= 2) sizes.push({ machines: 1, units });
  const most = Math.min(
    MOST_MACHINES,
    makeable.reduce((all, { count }) => all + count, nodes.length),
  );
  for (let machines = 1; machines <= most; machines++) sizes.push({ machines, units: unitsPerNode });
  const all = new Set([...nodes.map(({ zone }) => zone), ...listNewZones(makeable)]);
  const zones = [...all].sort().slice(0, MOST_ZONES);
  const elsewhere = makeable.some(({ zones }) => zones.length === 0) ? [ELSEWHERE] : [];
  return [null, ...zones, ...elsewhere].flatMap((zone) => sizes.map((size) => ({ ...size, zone })));
}

function expected(runs: readonly Run[], of: "startsAt" | "roomAt", index: number): Expected {
  return summarizeTimes(runs.map((run) => run[of][index] ?? Infinity));
}

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

/** Returns a generator of numbers in [0, 1) that depend only on the two seeds (xorshift32, G. Marsaglia 2003). */
export function drawnFrom(seed: number, run: number): () => number {
  let state = Math.imul(seed + 1, 0x9e3779b1) ^ Math.imul(run + 1, 0x85ebca6b) || 1;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 2 ** 32;
  };
  // Similar seeds begin with similar numbers.
  for (let n = 0; n < 8; n++) next();
  return next;
}

/** A job that wants no more than `lastsMs` may start at this time. */
export type Gap = readonly [lastsMs: number, p50: number, p90: number | null];

/** Gaps kept per size. A job between two of them gets the later start. */
const MOST_GAPS = 4;
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
