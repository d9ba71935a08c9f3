import type { Item, Key } from "../../ports/table.ts";
import { forecastStartsKey } from "../../store/keys.ts";
import { type PromiseErrors, promiseErrors, readCalibration } from "./calibration.ts";

/** How good the estimates of a type's last starts were: its last 200 that had been told a time before. */
export interface EstimateErrors extends PromiseErrors {
  readonly type: string;
}

/** The key that they are stored under, to be read in one batch with the ledgers. */
export function estimateErrorsKey(type: string): Key {
  return forecastStartsKey(type);
}

/**
 * The errors of these types, sorted by type. A type is absent while it had no start, and where its item cannot be read:
 * nothing but advice hangs on it.
 */
export function estimateErrorsOf(items: readonly Item[], types: readonly string[]): EstimateErrors[] {
  const starts = new Map(items.map((item) => [item.pk, item.starts]));
  return [...types].sort().flatMap((type) => {
    const errors = promiseErrors(readCalibration(starts.get(estimateErrorsKey(type).pk)));
    return errors.starts > 0 ? [{ type, ...errors }] : [];
  });
}
