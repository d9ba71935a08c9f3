import type { Context } from "../../context.ts";
import type { Item } from "../../ports/table.ts";
import { forecastKey, forecastStartsKey } from "../../store/keys.ts";
import { sameData } from "../../store/same-data.ts";
import { number } from "../../store/shape.ts";
import { type Move, planMoves } from "../ledger/eta-drivers.ts";
import { openTo } from "../plan/closings.ts";
import { freeUnits } from "../plan/free-units.ts";
import { type AllNodes, allNodes } from "../plan/new-machines.ts";
import type { Plan, PlanInput } from "../plan/plan.ts";
import { addStart, type Calibration, latestStart, type Promised, readCalibration, widening } from "./calibration.ts";
import { type QueueSnapshot, takeQueueSnapshot } from "./estimate-new-job.ts";
import { type Forecast, forecast } from "./forecast.ts";
import { isStanding, nonePasses, type Passing, readEntries, readPromises } from "./stored-forecast.ts";
import { type Arrival, addArrivals, type Durations, readArrivals, toStored } from "./workload.ts";

export interface ForecastOutset {
  readonly type: string;
  readonly plan: PlanInput;
  readonly planned: Plan;
  readonly number: number;
  /** Read only when a forecast is made. */
  readonly durations: () => Promise<Durations>;
  /** Set if only some of the waiting jobs were read. The next plan reads others. */
  readonly isPartial?: boolean;
  readonly started: readonly (Omit<Arrival, "zone"> & { readonly uid: string })[];
}

const EVERY_MS = 10_000;
const STILL_EVERY_MS = 5 * 60_000;
const DIGITS = [..."0123456789abcdef"];

/**
 * Forecasts a pool and stores the result, at most every 10 s. Returns when to make the next one (ms) if the last one is
 * too recent but outdated. It writes 17 items, and one more when a job with an estimate started. Call it apart from
 * granting: it takes up to 0.5 s of CPU.
 */
export async function refreshForecast(ctx: Context<"table">, outset: ForecastOutset): Promise<number | undefined> {
  const { type, planned } = outset;
  const now = outset.plan.now;
  const before = await ctx.table.get(forecastKey(type, null));
  if (before && number(before.at) && before.at <= now && now - before.at < shortestPauseMs(before, outset))
    return hasChanged(before, outset) ? before.at + EVERY_MS : undefined;
  const { items, starts } = await readLast(ctx, type);
  const promised = new Map(items.flatMap(readPromises));
  // A zone that lacks machines is tried again soon, and a forecast goes on for days. Groups keep their starts.
  const plan = { ...afterGrants(outset.plan, planned), lackingZones: undefined };
  const knownCalibration = outset.started.reduce((calibration, { uid, at }) => {
    const promise = promised.get(uid);
    return promise ? addStart(calibration, promise, at) : calibration;
  }, starts);
  const open = planned.places.flatMap(({ uid }) => promised.get(uid) ?? []);
  const factor = widening(knownCalibration, open, now);
  const forecasted = new Set(items.flatMap((item) => readEntries(item).map(([uid]) => uid)));
  const since = before && number(before.at) ? before.at : null;
  const arrivals = addArrivals(readArrivals(before?.arrivals), cameSince(since, outset, forecasted));
  const durations = await outset.durations();
  const nodes = allNodes(plan);
  const made = forecast({ plan, nodes, durations, arrivals, seed: outset.number, clock: ctx.clock });
  const found = withRetries(withReserved(made, planned), planned, plan);
  const kept = planned.places.filter(() => !isClosed(plan)).map(({ uid }) => uid);
  const entries = entriesFor(found, { promised, factor, kept, moves: planMoves(plan, planned.places) });
  const byKey = new Map(items.map(({ pk }) => [pk, [] as (readonly [string, Entry])[]]));
  for (const entry of entries) {
    const { pk } = forecastKey(type, entry[0].slice(0, 1));
    const others = byKey.get(pk) ?? [];
    others.push(entry);
    byKey.set(pk, others);
  }
  const base = { sk: "-", writers: [], kind: "forecast", at: now, later: rounded(found.later) };
  const written = [...byKey].map(([pk, ofDigit]) => ({ ...base, pk, entries: Object.fromEntries(ofDigit) }));
  const standing = headFirst(takeQueueSnapshot(plan, planned, found, factor), plan.head);
  const passing = getPassing(plan, nodes, planned, found);
  const whole = { ...base, ...forecastKey(type, null), standing, passing, arrivals: toStored(arrivals) };
  const apart = { ...base, ...forecastStartsKey(type), starts: knownCalibration.starts };
  // Unconditional: a forecast decides nothing, and the next one follows in 10 s.
  await Promise.all(
    [...written, whole, ...(knownCalibration === starts ? [] : [apart])].map((item) => ctx.table.put(item)),
  );
  return undefined;
}

async function readLast(ctx: Context<"table">, type: string): Promise<{ items: Item[]; starts: Calibration }> {
  const startsKey = forecastStartsKey(type);
  const items = await ctx.table.getMany([...DIGITS.map((digit) => forecastKey(type, digit)), startsKey]);
  const apart = items.find(({ pk }) => pk === startsKey.pk);
  return { items: items.filter((item) => item !== apart), starts: readCalibration(apart?.starts) };
}

/**
 * Returns how long the last forecast stays valid. The first machine of a pool replaces it at once, since the forecast
 * denies that there are machines. In an idle pool it is only renewed before it expires.
 */
function shortestPauseMs({ standing, at }: Item, outset: ForecastOutset): number {
  const knewNone = isStanding(standing) && standing.machines.length === 0;
  if (knewNone && outset.plan.nodes.length > 0) return 0;
  const { places, grants } = outset.planned;
  const came = places.length + grants.length > 0 || outset.started.some((start) => start.at > Number(at));
  const isStill = !came && isStanding(standing) && standing.waiting === 0 && offersTheSame(standing, outset);
  return isStill ? STILL_EVERY_MS : EVERY_MS;
}

function offersTheSame(standing: QueueSnapshot, { plan, planned }: Pick<ForecastOutset, "plan" | "planned">): boolean {
  if (standing.freeUnits !== planned.freeUnits || standing.closed !== (plan.closed ?? null)) return false;
  const nothing: Forecast = { at: plan.now, waiting: [], room: [], later: null };
  const { machines, closing } = takeQueueSnapshot(plan, planned, nothing, 1);
  return sameData(standing.machines, machines) && sameData(standing.closing, closing);
}

/** Reports whether jobs came or left, or room changed. A partial read does not say which jobs wait. */
function hasChanged({ standing, at }: Item, { plan, planned, started, isPartial }: ForecastOutset): boolean {
  const { places, grants } = planned;
  if (grants.length > 0 || started.some((start) => start.at > Number(at))) return true;
  if (!isStanding(standing) || !offersTheSame(standing, { plan, planned })) return true;
  return (
    !isPartial &&
    (standing.waiting !== places.length || plan.waiting.some((waitingJob) => waitingJob.queuedAt > Number(at)))
  );
}

/** Returns the room for jobs that end before the reserved start. Machines still to be created offer no room yet. */
function getPassing(plan: PlanInput, { nodes }: AllNodes, { places }: Plan, { room }: Forecast): Passing {
  const until = places.find(({ uid }) => uid === plan.head)?.startsAt ?? null;
  if (until === null || plan.closed) return nonePasses;
  const existing = nodes.filter(({ name }) => name !== null);
  const free = freeUnits(existing);
  const open = openTo(existing, plan, until);
  const fits = room
    .filter((need) => free.find(need, open))
    .map(({ machines, units, zone }) => ({ machines, units, zone }));
  return { until, fits };
}

/**
 * p50, latest time shown, what moves it, its count, and the first estimate: at, p50, p90, latest. "kept": nothing can
 * be estimated now, and the first estimate still counts.
 */
type Entry = readonly [number | null, number | null, Move["code"] | "kept", number, ...number[]];

function entriesFor(
  { at, waiting }: Forecast,
  forecasted: {
    readonly promised: ReadonlyMap<string, Promised>;
    readonly factor: number;
    readonly kept: readonly string[];
    readonly moves: ReadonlyMap<string, Move>;
  },
): Map<string, Entry> {
  const kept = forecasted.kept.flatMap((uid): [string, Entry][] => {
    const first = forecasted.promised.get(uid);
    return first ? [[uid, [null, null, "kept", 0, ...stored(first)]]] : [];
  });
  return new Map([
    ...kept,
    ...waiting.map(({ uid, p50, p90 }): [string, Entry] => {
      const { code, count: many } = forecasted.moves.get(uid) ?? { code: "none" as const, count: 0 };
      const latest = p90 === null ? null : latestStart({ at, p90 }, forecasted.factor);
      const now = p50 !== null && p90 !== null && latest !== null ? { at, p50, p90, latest } : undefined;
      const first = forecasted.promised.get(uid) ?? now;
      return [uid, [rounded(p50), rounded(latest), code, many, ...(first ? stored(first) : [])]];
    }),
  ]);
}

function stored({ at, p50, p90, latest }: Promised): number[] {
  return [at, p50, p90, latest].map(Math.round);
}

/** Fills in the head's reserved start, which is known even beyond the reach of the forecast. */
function withReserved(found: Forecast, { head, places }: Plan): Forecast {
  const reserved = places.find(({ uid }) => uid === head)?.startsAt ?? null;
  if (reserved === null) return found;
  const startsAt = Math.max(reserved, found.at);
  const waiting = found.waiting.map((waitingJob) =>
    waitingJob.uid === head
      ? {
          ...waitingJob,
          p50: waitingJob.p50 ?? startsAt,
          p90: waitingJob.p90 ?? Math.max(startsAt, waitingJob.p50 ?? 0),
        }
      : waitingJob,
  );
  return { ...found, waiting };
}

/** Moves starts on new machines behind the next try in a zone that lacks machines. The forecast knows starts of groups. */
function withRetries(found: Forecast, { places }: Plan, { makeable }: PlanInput): Forecast {
  const starts = new Set(makeable.map(({ startsAt }) => startsAt));
  const paused = places.filter(({ code, available }) => code === "unmade" && !starts.has(available));
  const tried = new Map(paused.map(({ uid, startsAt }) => [uid, startsAt]));
  if (tried.size === 0) return found;
  const waiting = found.waiting.map((job) => {
    const notBefore = (time: number | null) => time && Math.max(time, tried.get(job.uid) ?? 0);
    return { ...job, p50: notBefore(job.p50), p90: notBefore(job.p90) };
  });
  return { ...found, waiting };
}

/** Reports whether the operator closed the pool, which voids earlier estimates. */
function isClosed({ closed }: PlanInput): boolean {
  return closed === "drained" || closed === "paused";
}

/** Sets the head's units to 0, so that no estimate is placed before its reserved start. */
function headFirst(standing: QueueSnapshot, head: string | null): QueueSnapshot {
  if (head === null) return standing;
  return { ...standing, turns: standing.turns.map((turn) => (turn.position === 1 ? { ...turn, units: 0 } : turn)) };
}

/**
 * Returns requests since the last forecast, including those granted at once. Without a last one it returns the waiting
 * jobs.
 */
function cameSince(
  since: number | null,
  { plan, started }: ForecastOutset,
  forecasted: ReadonlySet<string>,
): Arrival[] {
  const knownUids = new Set([...forecasted, ...plan.waiting.map(({ uid }) => uid)]);
  const waiting = plan.waiting.filter(({ uid, queuedAt }) => !forecasted.has(uid) && queuedAt > (since ?? 0));
  const begun = started.filter(({ uid, at }) => since !== null && at > since && !knownUids.has(uid));
  return [
    ...waiting.map(({ owner, size, zone, queuedAt }) => ({ at: queuedAt, owner, size, zone })),
    ...begun.map(({ owner, size, at }) => ({ at, owner, size, zone: null })),
  ];
}

function afterGrants(plan: PlanInput, { grants, head }: Plan): PlanInput {
  const entries = new Map(plan.waiting.map((entry) => [entry.uid, entry]));
  const grantedUids = new Set(grants.map(({ uid }) => uid));
  const occupied = grants.flatMap(({ uid, shares }) => {
    const entry = entries.get(uid);
    return entry ? [{ owner: entry.owner, size: entry.size, shares, endsAt: null, at: plan.now }] : [];
  });
  const waiting = plan.waiting.filter(({ uid }) => !grantedUids.has(uid));
  // Without grants, keep the same list: its sums are cached.
  return { ...plan, occupied: occupied.length > 0 ? [...plan.occupied, ...occupied] : plan.occupied, waiting, head };
}

function rounded(time: number | null): number | null {
  return time === null ? null : Math.round(time);
}
