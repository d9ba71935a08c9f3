import type { Item } from "../../ports/table.ts";
import { count, list, literal, mapping, number, optional, ordinal, orNull, shape, text } from "../../store/shape.ts";
import { type Move, moveCodes } from "../ledger/eta-drivers.ts";
import type { Need } from "../plan/free-units.ts";
import { halts } from "../plan/plan.ts";
import type { Promised } from "./calibration.ts";
import type { QueueSnapshot } from "./estimate-new-job.ts";
import type { Expected, Gap } from "./forecast.ts";

export interface StartForecast extends Expected {
  readonly move: Move;
  /** A lower bound where a time is null. null means never, as far as is known. */
  readonly later: number | null;
}

/** The planner makes a forecast at least once a minute, so an older one is stale. */
const OLDEST_MS = 10 * 60_000;

/** Returns the stored forecast for this uid, or undefined if it is unreadable or stale. */
export function startForecastIn(item: Item | undefined, uid: string, now: number): StartForecast | undefined {
  if (!item || !number(item.at) || now - item.at > OLDEST_MS) return undefined;
  const [p50, p90, code, many] = new Map(readEntries(item)).get(uid) ?? [];
  const { later } = item;
  if (!isTime(p50) || !isTime(p90) || !isTime(later) || !isCode(code) || !count(many)) return undefined;
  return { p50, p90, later, move: { code, count: many } };
}

/** Returns the forecast data for estimates of new jobs, or undefined if it is missing or stale. */
export function standingIn(item: Item | undefined, now: number): QueueSnapshot | undefined {
  if (!item || !isStanding(item.standing)) return undefined;
  return now - item.standing.at > OLDEST_MS ? undefined : item.standing;
}

/** The room available now for jobs that end before the reserved start: the smallest needs that fit. */
export interface Passing {
  readonly until: number;
  readonly fits: readonly Need[];
}

/** Reports whether a job of this size starts at once because it ends before the reserved start. */
export function passesAt({ until, fits }: Passing, need: Need & { readonly wantedMs: number }, now: number): boolean {
  const { machines, units, zone, wantedMs } = need;
  const isRoom = fits.some((fit) => fit.machines >= machines && fit.units >= units && fit.zone === zone);
  return isRoom && now + wantedMs <= until;
}

/** No backfill: there is no head, or its start is unknown. */
export const nonePasses: Passing = { until: 0, fits: [] };

export function passingIn(item: Item | undefined): Passing {
  return isPassing(item?.passing) ? item.passing : nonePasses;
}

export function readEntries({ entries }: Item): [string, readonly unknown[]][] {
  if (typeof entries !== "object" || entries === null) return [];
  return Object.entries(entries).filter((entry): entry is [string, unknown[]] => Array.isArray(entry[1]));
}

export function readPromises(item: Item): [string, Promised][] {
  return readEntries(item).flatMap(([uid, [, , , , at, p50, p90, latest]]): [string, Promised][] =>
    number(at) && number(p50) && number(p90) && number(latest) ? [[uid, { at, p50, p90, latest }]] : [],
  );
}

const isTime = orNull(number);
const times = { p50: isTime, p90: isTime };
const isPassing = shape<Passing>({
  until: number,
  fits: list(shape<Need>({ machines: ordinal, units: ordinal, zone: orNull(text) })),
});
export const isStanding = shape<QueueSnapshot>({
  at: number,
  later: isTime,
  closed: orNull(literal(...halts)),
  freeUnits: count,
  waiting: count,
  room: list(
    shape<QueueSnapshot["room"][number]>({
      machines: ordinal,
      units: ordinal,
      zone: orNull(text),
      ...times,
      gaps: optional(list(isGap)),
    }),
  ),
  turns: list(
    shape<QueueSnapshot["turns"][number]>({
      ...times,
      position: ordinal,
      units: count,
      need: shape<QueueSnapshot["turns"][number]["need"]>({ machines: ordinal, units: ordinal }),
    }),
  ),
  owners: mapping(number),
  machines: list(isMachines),
  withoutForeign: optional(
    shape<NonNullable<QueueSnapshot["withoutForeign"]>>({ machines: list(isMachines), units: count }),
  ),
  closing: optional(list(shape<Closing>({ at: number, text, machines: list(isMachines) }))),
});

type Closing = NonNullable<QueueSnapshot["closing"]>[number];

function isGap(value: unknown): value is Gap {
  return Array.isArray(value) && value.length === 3 && number(value[0]) && number(value[1]) && isTime(value[2]);
}

function isMachines(value: unknown): value is QueueSnapshot["machines"][number] {
  if (!Array.isArray(value) || value.length !== 3) return false;
  const [zone, units, machines] = value;
  return orNull(text)(zone) && count(units) && count(machines);
}

const isCode = literal(...moveCodes);
