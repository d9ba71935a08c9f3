import type { Environment } from "../record/record.ts";
import { addEntry } from "../record/timeline.ts";

/** Minutes before the end at which the timeline warns, the earliest first. */
const WARNINGS = [30, 15, 5];
const MINUTE_MS = 60_000;

/** At most one entry a look, for the latest threshold that has been passed and not been told. */
export function warn(environment: Environment, endsAt: number, now: number): Environment {
  const passed = passedWarning(endsAt, now);
  if (passed === null || passed >= (environment.times.warnedMinutes ?? Number.POSITIVE_INFINITY)) return environment;
  return addEntry(
    { ...environment, times: { ...environment.times, warnedMinutes: passed } },
    now,
    `Expires in ${passed} minutes`,
  );
}

/** The latest warning whose moment is over, in minutes before this end: those past from the start are skipped. */
export function passedWarning(endsAt: number, now: number): number | null {
  return WARNINGS.findLast((minutes) => now >= endsAt - minutes * MINUTE_MS) ?? null;
}

/** When the next warning is due, or the end itself. */
export function nextWarningAt(endsAt: number, now: number): number {
  const coming = WARNINGS.map((minutes) => endsAt - minutes * MINUTE_MS).filter((at) => at > now);
  return Math.min(...coming, endsAt);
}
