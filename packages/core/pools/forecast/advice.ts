import type { Context } from "../../context.ts";
import type { Environment } from "../../environments/record/record.ts";
import type { Item, Key } from "../../ports/table.ts";
import type { PlannerContext } from "../../reconciler/worker.ts";
import { forecastKey, planKey } from "../../store/keys.ts";
import { number, oneOf, ordinal, orNull } from "../../store/shape.ts";
import type { Pool } from "../ledger/record.ts";
import type { Advice } from "../plan/head-after-plan.ts";
import { type Place, type ReasonCode, reasonCodes } from "../plan/plan.ts";
import { type StartForecast, startForecastIn } from "./stored-forecast.ts";

/** What plan and forecast say to one that waits. `place` undefined: the plan does not reach it. */
export interface WaitAdvice {
  readonly place: Omit<Place, "uid"> | undefined;
  /** Whether there are more waiting than the plan reaches. */
  readonly farBack: boolean;
  /** What the last forecast says; undefined while there is none of it. */
  readonly start: StartForecast | undefined;
  /** By when it was to start, ms, where that is over for long: the planner does not come, or what was expected did not. */
  readonly lateSince: number | undefined;
}

/** A planner makes a forecast every minute at least. */
const LATE_MS = 60_000;

/**
 * Writes the plan for those who wait, as 16 items by the first digit of the uid, without a condition: it is advice,
 * the next plan replaces it. Only items that have or had somebody in them are written.
 */
export async function writeAdvice(
  ctx: PlannerContext,
  pool: Pool,
  advice: Advice,
  before: string,
  now: number,
): Promise<void> {
  const byDigit = new Map([...before, ...pool.advised].map((digit) => [digit, {} as Record<string, unknown[]>]));
  for (const { uid, position, startsAt, code, needed, available } of advice.places) {
    const entries = byDigit.get(uid.slice(0, 1));
    if (entries) entries[uid] = [position, startsAt, code, needed, available];
  }
  await Promise.all(
    [...byDigit].map(async ([digit, entries]) => {
      const item = {
        ...planKey(pool.type, digit),
        writers: [],
        kind: "plan",
        at: now,
        complete: advice.namesAll,
        entries,
      };
      // Without a condition: advice decides nothing, and the next plan writes it again.
      await ctx.table.put(item);
    }),
  );
}

/** What plan and forecast say to each of these that waits: one batch read for all of them. Keyed by uid. */
export async function readAdvice(
  ctx: Pick<Context<"table">, "table" | "clock">,
  environments: readonly Environment[],
): Promise<ReadonlyMap<string, WaitAdvice>> {
  const waiting = environments.filter((one) => one.phase === "queued" && one.end.outcome === null);
  const keys = waiting.flatMap(adviceKeysOf);
  if (keys.length === 0) return new Map();
  const items = await ctx.table.getMany([...new Map(keys.map((key) => [key.pk, key])).values()]);
  const stored = new Map(items.map((item) => [item.pk, item]));
  const now = ctx.clock.now();
  return new Map(waiting.map((one) => [one.uid, adviceIn(stored, one, now)]));
}

/** Where plan and forecast say something to one that waits. */
export function adviceKeysOf({ size, uid }: Environment): [plan: Key, forecast: Key] {
  const digit = uid.slice(0, 1);
  return [planKey(size.pool, digit), forecastKey(size.pool, digit)];
}

/** What they say, in the items as they were read, by `pk`. Nothing is said to start before now. */
export function adviceIn(stored: ReadonlyMap<string, Item>, one: Environment, now: number): WaitAdvice {
  const [plan, forecast] = adviceKeysOf(one);
  const { place, farBack } = placeIn(stored.get(plan.pk), one.uid);
  const start = startForecastIn(stored.get(forecast.pk), one.uid, now);
  const startsAt = (start ? start.p50 : place?.startsAt) ?? now;
  return {
    place: place && { ...place, startsAt: notBefore(now, place.startsAt) },
    farBack,
    start: start && {
      ...start,
      p50: notBefore(now, start.p50),
      p90: notBefore(now, start.p90),
      later: notBefore(now, start.later),
    },
    lateSince: now - startsAt > LATE_MS ? startsAt : undefined,
  };
}

/** What was to be some seconds ago is to be now. */
export function notBefore(now: number, time: number | null): number | null {
  return time === null ? null : Math.max(time, now);
}

function placeIn(item: Item | undefined, uid: string): Pick<WaitAdvice, "place" | "farBack"> {
  const entries = new Map(Object.entries(item?.entries ?? {}));
  const stored: unknown = entries.get(uid);
  const entry = isEntry(stored) ? stored : undefined;
  if (!entry) return { place: undefined, farBack: item?.complete === false };
  const [position, startsAt, code, needed, available] = entry;
  return { place: { position, startsAt, code, needed, available }, farBack: false };
}

type Entry = readonly [position: number, startsAt: number | null, code: ReasonCode, needed: number, available: number];

const isCode = oneOf(...reasonCodes);

/** Advice that cannot be read is none: nothing but words hangs on it. */
function isEntry(value: unknown): value is Entry {
  if (!Array.isArray(value)) return false;
  const [position, startsAt, code, needed, available] = value;
  return ordinal(position) && orNull(number)(startsAt) && isCode(code) && number(needed) && number(available);
}
