import type { Item, Key } from "../../ports/table.ts";
import { forecastStartsKey } from "../../store/keys.ts";
import { type PromiseErrors, promiseErrors, readCalibration } from "./calibration.ts";

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
