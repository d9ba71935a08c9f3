import type { Item, Key } from "../../ports/table.ts";
import { forecastStartsKey } from "../../store/keys.ts";

/** The first estimate given to a waiting job, before widening. Times are ms. */
export interface Promised {
  readonly at: number;
  readonly p50: number;
  readonly p90: number;
  /** The p90 that was shown. */
  readonly latest: number;
}

/** One start, in seconds: the estimated waits and the actual wait. */
type Start = readonly [p50: number, p90: number, latest: number, real: number];

export interface Calibration {
  readonly starts: readonly Start[];
}

export interface PromiseErrors {
  readonly starts: number;
  /** Fraction that started no later than the latest time shown. */
  readonly covered: number;
  /** Median error of the estimated p50, as a fraction of the actual wait. */
  readonly medianError: number;
}

const MOST_STARTS = 200;
const LEAST_STARTS = 20;
const COVERED = 0.9;
/** Errors below this do not matter to users. */
const LEAST_SECONDS = 60;
const MOST_WIDENED = 10;
const MOST_SECONDS = 400 * 24 * 3_600;

export const noCalibration: Calibration = { starts: [] };

export function addStart({ starts }: Calibration, promised: Promised, startedAt: number): Calibration {
  const waits = [promised.p50, promised.p90, promised.latest, startedAt].map((at) => seconds(at - promised.at));
  const [p50 = 0, p90 = 0, latest = 0, real = 0] = waits;
  return { starts: [...starts, [p50, p90, latest, real] as const].slice(-MOST_STARTS) };
}

/**
 * Returns the factor that widens the wait until p90 so that it covers nine of ten of the latest starts: later requests
 * are unpredictable. A job that waits past its estimate counts as if it started now. Otherwise the longest waits would
 * count last. Returns 1 while there are too few starts.
 */
export function widening({ starts }: Calibration, waiting: readonly Promised[], now: number): number {
  const late = waiting.filter(({ p90 }) => p90 < now).map(({ at, p90 }) => [seconds(p90 - at), seconds(now - at)]);
  const waits = [...starts.map(([, p90, , real]) => [p90, real]), ...late];
  if (waits.length < LEAST_STARTS) return 1;
  const needed = waits.map(([p90 = 0, real = 0]) => real / Math.max(p90, LEAST_SECONDS)).sort((a, b) => a - b);
  const factor = needed[Math.ceil(COVERED * needed.length) - 1] ?? 1;
  return Math.min(MOST_WIDENED, Math.max(1, factor));
}

export function latestStart({ at, p90 }: Pick<Promised, "at" | "p90">, factor: number): number {
  if (factor === 1) return p90;
  return Math.round(at + Math.max(p90 - at, LEAST_SECONDS * 1_000) * factor);
}

export function promiseErrors({ starts }: Calibration): PromiseErrors {
  const covered = starts.filter(([, , latest, real]) => real <= Math.max(latest, LEAST_SECONDS)).length;
  const errors = starts.map(([p50, , , real]) => Math.abs(real - p50) / Math.max(real, LEAST_SECONDS));
  errors.sort((a, b) => a - b);
  return {
    starts: starts.length,
    covered: starts.length > 0 ? covered / starts.length : 1,
    medianError: errors[Math.ceil(errors.length / 2) - 1] ?? 0,
  };
}

/** Parses a stored calibration. Unreadable starts are dropped, because only estimates use them. */
export function readCalibration(value: unknown): Calibration {
  if (!Array.isArray(value)) return noCalibration;
  return { starts: value.filter(isStart).slice(-MOST_STARTS) };
}

function isStart(value: unknown): value is Start {
  const isWait = (value: unknown) => typeof value === "number" && value >= 0 && value <= MOST_SECONDS;
  return Array.isArray(value) && value.length === 4 && value.every(isWait);
}

function seconds(ms: number): number {
  return Math.min(MOST_SECONDS, Math.max(0, Math.round(ms / 1_000)));
}

export interface EstimateErrors extends PromiseErrors {
  readonly type: string;
}

export function estimateErrorsKey(type: string): Key {
  return forecastStartsKey(type);
}

/** Returns the errors of these types, sorted by type. Types without starts or with an unreadable item are left out. */
export function readEstimateErrors(items: readonly Item[], types: readonly string[]): EstimateErrors[] {
  const starts = new Map(items.map((item) => [item.pk, item.starts]));
  return [...types].sort().flatMap((type) => {
    const errors = promiseErrors(readCalibration(starts.get(estimateErrorsKey(type).pk)));
    return errors.starts > 0 ? [{ type, ...errors }] : [];
  });
}
