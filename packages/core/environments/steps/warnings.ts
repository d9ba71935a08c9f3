import { durationText } from "../../text/duration-text.ts";
import { utcText } from "../../text/utc.ts";
import { MINUTE_MS } from "../../units.ts";
import { hiddenMs } from "../record/changes/extensions.ts";
import type { Environment } from "../record/record.ts";
import { addEntry } from "../record/timeline.ts";

export const END_WARNING = "Expires in";
export const EXTENDED = "Extended:";
const WARNINGS_MS = [30, 15, 5].map((minutes) => minutes * MINUTE_MS);
/** A shorter time has one more warning, a minute before its end or after four fifths of it. */
const SHORT_MS = 10 * MINUTE_MS;

type Timed = Pick<Environment, "times" | "run">;

export function warn(environment: Environment, now: number): Environment {
  const { times } = environment;
  const { endsAt } = times;
  if (endsAt === null || now >= endsAt) return environment;
  const dueMs = listWarnings(environment).findLast((ms) => now >= endsAt - ms);
  const givenMs = isWarned(environment) ? Number(times.warnedMinutes) * MINUTE_MS : Number.POSITIVE_INFINITY;
  if (dueMs === undefined || dueMs >= givenMs) return environment;
  const warned = { ...times, warnedMinutes: dueMs / MINUTE_MS, warnedOf: endsAt };
  return addEntry({ ...environment, times: warned }, now, `${END_WARNING} ${durationText(endsAt - now)}`);
}

export function isWarned({ times: { endsAt, warnedMinutes, warnedOf } }: Pick<Environment, "times">): boolean {
  return warnedMinutes !== null && (warnedOf ?? endsAt) === endsAt;
}

export function endWarning(environment: Environment, now: number): string | null {
  const { endsAt, warnedMinutes, warnedOf } = environment.times;
  if (endsAt === null || warnedMinutes === null) return null;
  // An extension counts before its new end is shown.
  const shownEnd = endsAt - hiddenMs(environment);
  return (warnedOf ?? endsAt) === shownEnd ? `${END_WARNING} ${durationText(shownEnd - now)}` : null;
}

export function takeBackWarning(environment: Environment, now: number): Environment {
  const { times } = environment;
  if (times.endsAt === null || times.warnedMinutes === null || isWarned(environment)) return environment;
  const calm = { ...times, warnedMinutes: null, warnedOf: undefined };
  return addEntry({ ...environment, times: calm }, now, `${EXTENDED} expires at ${utcText(times.endsAt)}`);
}

export function nextWarningAt(environment: Timed, now: number): number {
  const { endsAt } = environment.times;
  if (endsAt === null) return Number.POSITIVE_INFINITY;
  const coming = listWarnings(environment).map((ms) => endsAt - ms);
  return Math.min(...coming.filter((at) => at > now), endsAt);
}

function listWarnings({ times: { endsAt, endSetAt }, run: { startedAt } }: Timed): number[] {
  const wholeMs = Number(endsAt) - (endSetAt ?? startedAt ?? Number.NEGATIVE_INFINITY);
  const last = wholeMs < SHORT_MS ? [Math.min(MINUTE_MS, wholeMs / 5)] : [];
  return [...WARNINGS_MS, ...last].filter((ms) => ms < wholeMs);
}
