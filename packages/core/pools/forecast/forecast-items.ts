import type { Context } from "../../context.ts";
import type { Item } from "../../ports/table.ts";
import { forecastKey, forecastStartsKey } from "../../store/keys.ts";
import { sameData } from "../../store/same-data.ts";
import { number } from "../../store/shape.ts";
import { type Move, movesOf } from "../ledger/moves.ts";
import { freeUnits } from "../plan/free-units.ts";
import { type AllNodes, allNodes, type Plan, type PlanInput } from "../plan/plan.ts";
import { type Arrival, addArrivals, readArrivals, toStored } from "./arrivals.ts";
import { addStart, type Calibration, latestOf, type Promised, readCalibration, widening } from "./calibration.ts";
import type { Durations } from "./durations.ts";
import { type Forecast, forecast } from "./forecast.ts";
import { type Standing, standingOf } from "./one-more.ts";
import { entriesOf, isStanding, nonePasses, type Passing, promisesOf } from "./stored-forecast.ts";

/** What a plan hands over, as it came, once the ledger is written. */
export interface ForecastOutset {
  readonly type: string;
  readonly plan: PlanInput;
  readonly planned: Plan;
  /** The number of the plan. */
  readonly number: number;
  /** Asked for only when a forecast is made. */
  readonly durations: () => Promise<Durations>;
  /** Set where only some of those who wait were read: the next plan reads others. */
  readonly isPartial?: boolean;
  /** Everybody who has capacity, and since when. */
  readonly started: readonly (Omit<Arrival, "zone"> & { readonly uid: string })[];
}

const EVERY_MS = 10_000;
const STILL_EVERY_MS = 5 * 60_000;
const DIGITS = [..."0123456789abcdef"];

/**
 * Makes the forecast of a pool and stores it, at most every 10 s: 17 items, and one more when somebody started who had
 * been told when; without a condition, since it is advice. To be called apart from granting: it takes up to half a second
 * of CPU. Answers when the next one is to be made (ms) where the last one is too fresh, although it does not know of what
 * changed since.
 */
export async function refreshForecast(ctx: Context<"table">, outset: ForecastOutset): Promise<number | undefined> {
  const { type, planned } = outset;
  const now = outset.plan.now;
  const before = await ctx.table.get(forecastKey(type, null));
  if (before && number(before.at) && before.at <= now && now - before.at < shortestPauseMs(before, outset))
    return hasChanged(before, outset) ? before.at + EVERY_MS : undefined;
  const { items, starts } = await readLast(ctx, type);
  const promised = new Map(items.flatMap(promisesOf));
  const plan = afterGrants(outset.plan, planned);
  const known = outset.started.reduce((calibration, { uid, at }) => {
    const promise = promised.get(uid);
    return promise ? addStart(calibration, promise, at) : calibration;
  }, starts);
  const open = planned.places.flatMap(({ uid }) => promised.get(uid) ?? []);
  const factor = widening(known, open, now);
  const forecasted = new Set(items.flatMap((item) => entriesOf(item).map(([uid]) => uid)));
  const since = before && number(before.at) ? before.at : null;
  const arrivals = addArrivals(readArrivals(before?.arrivals), cameSince(since, outset, forecasted));
  const durations = await outset.durations();
  const nodes = allNodes(plan);
  const made = forecast({ plan, nodes, durations, arrivals, seed: outset.number, clock: ctx.clock });
  const found = withReserved(made, planned);
  const kept = planned.places.filter(() => !isClosed(plan)).map(({ uid }) => uid);
  const entries = entriesFor(found, { promised, factor, kept, moves: movesOf(plan, planned.places) });
  const byKey = new Map(items.map(({ pk }) => [pk, [] as (readonly [string, Entry])[]]));
  for (const one of entries) {
    const { pk } = forecastKey(type, one[0].slice(0, 1));
    const others = byKey.get(pk) ?? [];
    others.push(one);
    byKey.set(pk, others);
  }
  const base = { sk: "-", writers: [], kind: "forecast", at: now, later: rounded(found.later) };
  const written = [...byKey].map(([pk, ofDigit]) => ({ ...base, pk, entries: Object.fromEntries(ofDigit) }));
  const standing = headFirst(standingOf(plan, planned, found, factor), plan.head);
  const passing = passingOf(plan, nodes, planned, found);
  const whole = { ...base, ...forecastKey(type, null), standing, passing, arrivals: toStored(arrivals) };
  const apart = { ...base, ...forecastStartsKey(type), starts: known.starts };
  // Without a condition: a forecast decides nothing, and the next one is 10 s away.
  await Promise.all([...written, whole, ...(known === starts ? [] : [apart])].map((item) => ctx.table.put(item)));
  return undefined;
}

/** What those who wait were told last, and how good that was of those who started. */
async function readLast(ctx: Context<"table">, type: string): Promise<{ items: Item[]; starts: Calibration }> {
  const startsKey = forecastStartsKey(type);
  const items = await ctx.table.getMany([...DIGITS.map((digit) => forecastKey(type, digit)), startsKey]);
  const apart = items.find(({ pk }) => pk === startsKey.pk);
  return { items: items.filter((item) => item !== apart), starts: readCalibration(apart?.starts) };
}

/**
 * Returns how long the last forecast serves. One that knew no machine denies that there are any, so the first machine
 * replaces it at once. Where nobody waits and nobody came or went, it must only not grow old.
 */
function shortestPauseMs({ standing, at }: Item, outset: ForecastOutset): number {
  const knewNone = isStanding(standing) && standing.machines.length === 0;
  if (knewNone && outset.plan.nodes.length > 0) return 0;
  const { places, grants } = outset.planned;
  const came = places.length + grants.length > 0 || outset.started.some((one) => one.at > Number(at));
  const isStill = !came && isStanding(standing) && standing.waiting === 0 && offersTheSame(standing, outset);
  return isStill ? STILL_EVERY_MS : EVERY_MS;
}

/** Whether the pool is as open as it was then, and has as much room on the same machines. */
function offersTheSame(standing: Standing, { plan, planned }: Pick<ForecastOutset, "plan" | "planned">): boolean {
  if (standing.freeUnits !== planned.freeUnits || standing.closed !== (plan.closed ?? null)) return false;
  const nothing: Forecast = { at: plan.now, waiting: [], room: [], later: null };
  return sameData(standing.machines, standingOf(plan, planned, nothing, 1).machines);
}

/** Whether somebody came or left, or room did. Which of those who wait were read says nothing of who there is. */
function hasChanged({ standing, at }: Item, { plan, planned, started, isPartial }: ForecastOutset): boolean {
  const { places, grants } = planned;
  if (grants.length > 0 || started.some((one) => one.at > Number(at))) return true;
  if (!isStanding(standing) || !offersTheSame(standing, { plan, planned })) return true;
  return !isPartial && (standing.waiting !== places.length || plan.waiting.some((one) => one.queuedAt > Number(at)));
}

/** Machines that are still to be made are room for nobody now. */
function passingOf(plan: PlanInput, { nodes }: AllNodes, { places }: Plan, { room }: Forecast): Passing {
  const until = places.find(({ uid }) => uid === plan.head)?.startsAt ?? null;
  if (until === null || plan.closed) return nonePasses;
  const free = freeUnits(nodes.filter(({ name }) => name !== null));
  const fits = room.filter((need) => free.find(need)).map(({ machines, units, zone }) => ({ machines, units, zone }));
  return { until, fits };
}

/**
 * p50, the latest that is shown, what moves it, and what was told first and when: at, p50, p90, latest. "kept": nothing is
 * told at the moment, and what was told first still counts.
 */
type Entry = readonly [number | null, number | null, Move["code"] | "kept", number, ...number[]];

function entriesFor(
  { at, waiting }: Forecast,
  known: {
    readonly promised: ReadonlyMap<string, Promised>;
    readonly factor: number;
    /** Who still waits, whether or not anything can be told. */
    readonly kept: readonly string[];
    readonly moves: ReadonlyMap<string, Move>;
  },
): Map<string, Entry> {
  const kept = known.kept.flatMap((uid): [string, Entry][] => {
    const first = known.promised.get(uid);
    return first ? [[uid, [null, null, "kept", 0, ...stored(first)]]] : [];
  });
  return new Map([
    ...kept,
    ...waiting.map(({ uid, p50, p90 }): [string, Entry] => {
      const { code, count: many } = known.moves.get(uid) ?? { code: "none" as const, count: 0 };
      const latest = p90 === null ? null : latestOf({ at, p90 }, known.factor);
      const now = p50 !== null && p90 !== null && latest !== null ? { at, p50, p90, latest } : undefined;
      const first = known.promised.get(uid) ?? now;
      return [uid, [rounded(p50), rounded(latest), code, many, ...(first ? stored(first) : [])]];
    }),
  ]);
}

function stored({ at, p50, p90, latest }: Promised): number[] {
  return [at, p50, p90, latest].map(Math.round);
}

/** The head's start is known without any forecast, however far that went. */
function withReserved(found: Forecast, { head, places }: Plan): Forecast {
  const reserved = places.find(({ uid }) => uid === head)?.startsAt ?? null;
  if (reserved === null) return found;
  const startsAt = Math.max(reserved, found.at);
  const waiting = found.waiting.map((one) =>
    one.uid === head ? { ...one, p50: one.p50 ?? startsAt, p90: one.p90 ?? Math.max(startsAt, one.p50 ?? 0) } : one,
  );
  return { ...found, waiting };
}

/** What was told before the operator closed a pool is over: nobody forecasts how long that takes. */
function isClosed({ closed }: PlanInput): boolean {
  return closed === "drained" || closed === "paused";
}

/** The head's start is reserved: nobody is placed before it, however much its owner holds. */
function headFirst(standing: Standing, head: string | null): Standing {
  if (head === null) return standing;
  return { ...standing, turns: standing.turns.map((turn) => (turn.position === 1 ? { ...turn, units: 0 } : turn)) };
}

/** Who asked for capacity since the last forecast, those included who got it at once. Before the first: who waits. */
function cameSince(
  since: number | null,
  { plan, started }: ForecastOutset,
  forecasted: ReadonlySet<string>,
): Arrival[] {
  const known = new Set([...forecasted, ...plan.waiting.map(({ uid }) => uid)]);
  const waiting = plan.waiting.filter(({ uid, queuedAt }) => !forecasted.has(uid) && queuedAt > (since ?? 0));
  const begun = started.filter(({ uid, at }) => since !== null && at > since && !known.has(uid));
  return [
    ...waiting.map(({ owner, size, zone, queuedAt }) => ({ at: queuedAt, owner, size, zone })),
    ...begun.map(({ owner, size, at }) => ({ at, owner, size, zone: null })),
  ];
}

/** The pool as it stands once the plan's grants are made. */
function afterGrants(plan: PlanInput, { grants, head }: Plan): PlanInput {
  const entries = new Map(plan.waiting.map((entry) => [entry.uid, entry]));
  const given = new Set(grants.map(({ uid }) => uid));
  const occupied = grants.flatMap(({ uid, shares }) => {
    const entry = entries.get(uid);
    return entry ? [{ owner: entry.owner, size: entry.size, shares, endsAt: null, at: plan.now }] : [];
  });
  const waiting = plan.waiting.filter(({ uid }) => !given.has(uid));
  // Without grants it stays the same list, whose sums are known.
  return { ...plan, occupied: occupied.length > 0 ? [...plan.occupied, ...occupied] : plan.occupied, waiting, head };
}

function rounded(time: number | null): number | null {
  return time === null ? null : Math.round(time);
}
