import type { Clock } from "../../ports/clock.ts";
import { DAY_MS } from "../../units.ts";
import type { Need } from "../plan/free-units.ts";
import type { AllNodes, PlanInput } from "../plan/plan.ts";
import { type Arrivals, drawArrivals } from "./arrivals.ts";
import { drawnFrom } from "./drawn.ts";
import { type Durations, drawShare, oddsFor } from "./durations.ts";
import { type ForecastPool, poolOf, withArrivals } from "./forecast-pool.ts";
import { type Run, type RunOptions, runForward } from "./forecast-run.ts";
import { type Gap, gapsOf } from "./gaps.ts";
import { expectedOf } from "./rank.ts";

export interface ForecastInput {
  /** The input that `plan` gets. */
  readonly plan: PlanInput;
  /** The answer of `allNodes` for it, where the caller has it. */
  readonly nodes?: AllNodes;
  readonly durations: Durations;
  /** Who came lately: in each run others like them come, as many. */
  readonly arrivals?: Arrivals;
  /** The number of the plan: the same number draws the same. */
  readonly seed: number;
  readonly clock: Pick<Clock, "monotonic">;
  readonly budgetMs?: number;
  readonly runs?: number;
  readonly mostStarts?: number;
}

/** When something is to be expected. Times are ms. */
export interface Expected {
  /** When it has come in half of the runs, and in nine of ten; null: in fewer of them, as far as they went. */
  readonly p50: number | null;
  readonly p90: number | null;
}

/** When there is room for good, and before that for those who want it for a short time. */
export interface Room extends Expected, Need {
  readonly gaps?: readonly Gap[] | undefined;
}

export interface Forecast {
  readonly at: number;
  /** Who waits, the oldest first, without those who fit nowhere whatever comes free. */
  readonly waiting: readonly (Expected & { readonly uid: string })[];
  /** When there is room behind all who wait, for what is usually asked for. */
  readonly room: readonly Room[];
  /** How far all runs went: what is null comes later than this. null: to the end, what is null then never comes. */
  readonly later: number | null;
}

const RUNS = 16;
/** Further ones in which nobody comes, and that look for room. */
const ROOM_RUNS = 4;
/** So that no two draws are of the same seed. */
const MOST_RUNS = 1_000;
const MOST_STARTS = 2_000;
const BUDGET_MS = 500;
/** So far the runs go in which nobody comes, however slow the machine is at the moment. */
const LEAST_ENDS = 256;
const REACH_MS = 7 * DAY_MS;
/** A zone that has no machine, where they may be made in any. */
export const ELSEWHERE = "";
/** Zones whose room is looked for separately. */
const MOST_ZONES = 6;

/**
 * The honest estimate (docs/architecture/estimates.md): the plan run forward, 16 times, each job taking as much of its
 * wanted time as such jobs really took, and others coming as they came lately: with fair shares, who comes later often
 * starts sooner. Nothing starts while the pool is closed.
 */
export function forecast(input: ForecastInput): Forecast {
  const { plan, clock, budgetMs = BUDGET_MS, runs = RUNS } = input;
  if (plan.closed) return { at: plan.now, waiting: [], room: [], later: plan.now };
  const begun = clock.monotonic();
  const pool = poolOf(plan, input.nodes);
  const isOverAt = (part: number) => () => clock.monotonic() > begun + budgetMs * part;
  const runOf = (run: number, arrivals: Arrivals, rest: Pick<RunOptions, "asked" | "isOver" | "leastEnds">) => {
    const coming = drawArrivals(arrivals, plan.now, drawnFrom(input.seed, MOST_RUNS + run));
    const crowded = withArrivals(pool, coming, plan);
    return runForward(crowded, { ...optionsOf(input, crowded, run), ...rest });
  };
  // Whoever asks stands before those who come later. These runs come first: they alone give everybody a time, and who
  // comes in the others makes those so much longer that none of them may get anywhere.
  const asked = usualNeeds(plan);
  const isSpent = isOverAt(1);
  const finding: Run[] = [];
  for (let run = 0; run < ROOM_RUNS && (run === 0 || !isSpent()); run++) {
    const isOver = isOverAt((run + 1) / ROOM_RUNS);
    finding.push(runOf(runs + run, [], { asked, isOver, leastEnds: LEAST_ENDS }));
  }
  // Nobody starts where nobody waits: most plans are of such a pool.
  const starting = pool.waiters.length === 0 ? 0 : runs;
  const spent = (clock.monotonic() - begun) / budgetMs;
  const starts = Array.from({ length: starting }, (_, run) => {
    const alone = finding[run % finding.length];
    // The beginning of a run alone visits all that is held, so none begins once the budget is spent.
    if (alone && isSpent()) return alone;
    const isOver = isOverAt(spent + ((1 - spent) * (run + 1)) / runs);
    return goneOn(runOf(run, input.arrivals ?? [], { asked: [], isOver, leastEnds: 0 }), alone);
  });
  const later = Math.min(...[...starts, ...finding].map(({ wentTo }) => wentTo));
  return {
    at: plan.now,
    waiting: pool.waiters.map(({ uid }, index) => ({ uid, ...expected(starts, "startsAt", index) })),
    room: asked.map((need, index) => ({
      ...need,
      ...expected(finding, "roomAt", index),
      gaps: gapsIn(finding, index),
    })),
    later: later === Infinity ? null : later,
  };
}

/** What a run that was cut short does not reach, as the one says in which nobody comes: but not before it was cut. */
function goneOn(run: Run, alone: Run | undefined): Run {
  if (!run.isCut || !alone || alone.wentTo <= run.wentTo) return run;
  const startsAt = run.startsAt.map((at, index) =>
    at === Infinity ? Math.max(run.wentTo, alone.startsAt[index] ?? Infinity) : at,
  );
  return { ...run, startsAt, wentTo: alone.wentTo };
}

function optionsOf(
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
      const own = odds[owner];
      const share = own ? drawShare(own, drawn(), wantedMs > 0 ? spentMs / wantedMs : 0) : 1;
      return share < 1 ? share * wantedMs : wantedMs + durations.overMs;
    },
    mostStarts,
    until: plan.now + REACH_MS,
  };
}

/** Parts of a machine by powers of two and several whole ones, anywhere and in each zone. */
function usualNeeds({ nodes, makeable, makeableZone, unitsPerNode }: PlanInput): Need[] {
  const sizes: Omit<Need, "zone">[] = [];
  for (let units = 1; units < unitsPerNode; units *= 2) sizes.push({ machines: 1, units });
  for (const machines of [1, 2, 4]) sizes.push({ machines, units: unitsPerNode });
  const all = new Set([...nodes.map(({ zone }) => zone), ...(makeableZone ? [makeableZone] : [])]);
  const zones = [...all].sort().slice(0, MOST_ZONES);
  const elsewhere = makeable > 0 && !makeableZone ? [ELSEWHERE] : [];
  return [null, ...zones, ...elsewhere].flatMap((zone) => sizes.map((size) => ({ ...size, zone })));
}

function expected(runs: readonly Run[], of: "startsAt" | "roomAt", index: number): Expected {
  return expectedOf(runs.map((run) => run[of][index] ?? Infinity));
}

function gapsIn(runs: readonly Run[], index: number): Gap[] {
  const found = runs.map(({ gaps, roomAt }) => ({ found: gaps[index] ?? [], roomAt: roomAt[index] ?? Infinity }));
  return gapsOf(found, expected(runs, "roomAt", index));
}
