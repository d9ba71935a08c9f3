import type { Context } from "../../context.ts";
import type { Environment } from "../../environments/record/record.ts";
import type { Item, Key } from "../../ports/table.ts";
import type { PlannerContext } from "../../reconciler/step.ts";
import { forecastKey, planKey } from "../../store/keys.ts";
import { literal, number, ordinal, orNull } from "../../store/shape.ts";
import type { Pool } from "../ledger/record.ts";
import type { Advice } from "../plan/head-after-plan.ts";
import { type QueuePlace, type ReasonCode, reasonCodes } from "../plan/plan.ts";
import { estimateFor } from "./estimate-new-job.ts";
import { type StartForecast, standingIn, startForecastIn } from "./stored-forecast.ts";

/** The plan's and the forecast's answer for a waiting job. `place` is undefined if the plan does not reach it. */
export interface WaitAdvice {
  readonly place: Omit<QueuePlace, "uid"> | undefined;
  /** True if more jobs wait than the plan reaches. */
  readonly farBack: boolean;
  /** Zones where no new machines come now. */
  readonly lackingZones: readonly string[];
  /** The last forecast of its start, or undefined if the forecast does not contain it. */
  readonly start: StartForecast | undefined;
  /** The forecast start, ms, if it passed long ago: the planner has not run, or a forecast end did not come. */
  readonly lateSince: number | undefined;
}

/** The planner makes a forecast at least once a minute. */
const LATE_MS = 60_000;

/**
 * Writes the plan for waiting jobs in 16 items, one per first digit of the uid. Writes only items that have or had
 * entries. The write is unconditional: advice decides nothing, and the next plan replaces it.
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
        lacks: advice.lacks,
        zoneLacks: advice.zoneLacks,
        starts: advice.starts,
        closings: advice.closings,
        entries,
      };
      await ctx.table.put(item);
    }),
  );
}

/** Reads the advice for these environments in one batch. Keyed by uid; only waiting environments have advice. */
export async function readAdvice(
  ctx: Pick<Context<"table">, "table" | "clock">,
  environments: readonly Environment[],
): Promise<ReadonlyMap<string, WaitAdvice>> {
  const waiting = environments.filter(
    (environment) => environment.phase === "queued" && environment.end.outcome === null,
  );
  const keys = waiting.flatMap(adviceKeys);
  if (keys.length === 0) return new Map();
  const items = await ctx.table.getMany([...new Map(keys.map((key) => [key.pk, key])).values()]);
  const stored = new Map(items.map((item) => [item.pk, item]));
  const now = ctx.clock.now();
  return new Map(waiting.map((environment) => [environment.uid, adviceIn(stored, environment, now)]));
}

function adviceKeys({ size, uid }: Environment): [plan: Key, forecast: Key] {
  const digit = uid.slice(0, 1);
  return [planKey(size.pool, digit), forecastKey(size.pool, digit)];
}

/** Returns the advice in items already read, by `pk`. Starts in the past are moved to now. */
function adviceIn(stored: ReadonlyMap<string, Item>, environment: Environment, now: number): WaitAdvice {
  const [plan, forecast] = adviceKeys(environment);
  const { place, farBack } = placeIn(stored.get(plan.pk), environment);
  const start = startForecastIn(stored.get(forecast.pk), environment.uid, now);
  const startsAt = (start ? start.p50 : place?.startsAt) ?? now;
  return {
    place: place && { ...place, startsAt: notBefore(now, place.startsAt) },
    farBack,
    lackingZones: Object.keys(stored.get(plan.pk)?.zoneLacks ?? {}),
    start: start && {
      ...start,
      p50: notBefore(now, start.p50),
      p90: notBefore(now, start.p90),
      later: notBefore(now, start.later),
    },
    lateSince: now - startsAt > LATE_MS ? startsAt : undefined,
  };
}

export function notBefore(now: number, time: number | null): number | null {
  return time === null ? null : Math.max(time, now);
}

function placeIn(item: Item | undefined, { uid, zone }: Environment): Pick<WaitAdvice, "place" | "farBack"> {
  const entries = new Map(Object.entries(item?.entries ?? {}));
  const stored: unknown = entries.get(uid);
  const entry = isEntry(stored) ? stored : undefined;
  if (!entry) return { place: undefined, farBack: item?.complete === false };
  const [position, startsAt, code, needed, available] = entry;
  const lacks = textsByCode[code]?.(item, zone, available);
  return { place: { position, startsAt, code, needed, available, ...(lacks && { lacks }) }, farBack: false };
}

const textsByCode: Readonly<Partial<Record<ReasonCode, TextIn>>> = {
  unmade: (item, zone, at) => textAt(item?.starts, String(at)) ?? lacksIn(item, zone),
  closing: (item, _, at) => textAt(item?.closings, String(at)),
};

type TextIn = (item: Item | undefined, zone: string | null, at: number) => string | undefined;

function textAt(texts: unknown, key: string): string | undefined {
  const found = new Map<string, unknown>(Object.entries(texts ?? {})).get(key);
  return typeof found === "string" ? found : undefined;
}

function lacksIn(item: Item | undefined, zone: string | null): string | undefined {
  const found = textAt(item?.zoneLacks, zone ?? "") ?? item?.lacks;
  return typeof found === "string" ? found : undefined;
}

type Entry = readonly [position: number, startsAt: number | null, code: ReasonCode, needed: number, available: number];

const isCode = literal(...reasonCodes);

/** Unreadable advice counts as absent, because it only changes texts. */
function isEntry(value: unknown): value is Entry {
  if (!Array.isArray(value)) return false;
  const [position, startsAt, code, needed, available] = value;
  return ordinal(position) && orNull(number)(startsAt) && isCode(code) && number(needed) && number(available);
}

/**
 * Returns when a waiting environment should start, ms: from the forecast, else from the plan, else as one more job in
 * the last forecast. Beyond the reach of the forecast it is the earliest possible time. null if unknown. One batch
 * read.
 */
export async function readExpectedStart(ctx: Context<"table">, waiting: Environment): Promise<number | null> {
  const { owner, size, zone } = waiting;
  const whole = forecastKey(size.pool, null);
  const items = await ctx.table.getMany([...adviceKeys(waiting), whole]);
  const stored = new Map(items.map((item) => [item.pk, item]));
  const now = ctx.clock.now();
  const { place, start } = adviceIn(stored, waiting, now);
  const startsAt = start?.p50 ?? place?.startsAt ?? start?.later ?? null;
  if (startsAt !== null || start) return notBefore(now, startsAt);
  const standing = standingIn(stored.get(whole.pk), now);
  if (!standing) return null;
  const { machines, units, wantedMs } = size;
  const { p50, code, after } = estimateFor(standing, { owner, zone, machines, units, wantedMs }, now);
  return notBefore(now, p50 ?? (code === "later" ? after : null));
}
