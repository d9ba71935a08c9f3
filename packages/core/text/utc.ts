import { SECOND_MS } from "../units.ts";

const DAY_SECONDS = 24 * 3600;

/** Returns a time as text for a timeline: `2026-01-20 18:30 UTC`. */
export function utcText(ms: number): string {
  const { year, month, day, hour, minute } = utcParts(ms);
  return `${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)} UTC`;
}

/** Returns a time for a file name: `20260120-183000`. */
export function utcStamp(ms: number): string {
  const { year, month, day, hour, minute, second } = utcParts(ms);
  return `${year}${two(month)}${two(day)}-${two(hour)}${two(minute)}${two(second)}`;
}

/** Returns the month of a time: `2026-01`. */
export function utcMonth(ms: number): string {
  const { year, month } = utcParts(ms);
  return `${year}-${two(month)}`;
}

/** Returns the month before: `2025-12` for `2026-01`. */
export function monthBefore(month: string): string {
  const [year = 0, number = 0] = month.split("-").map(Number);
  return number > 1 ? `${year}-${two(number - 1)}` : `${year - 1}-12`;
}

/**
 * Computes the UTC date, because the core has no Date. Days count from 1 March of year 0, so a leap day is the last day
 * of its year (Howard Hinnant, "chrono-compatible low-level date algorithms").
 */
function utcParts(ms: number) {
  const seconds = Math.floor(ms / SECOND_MS);
  const days = Math.floor(seconds / DAY_SECONDS) + 719_468;
  const ofDay = seconds - (days - 719_468) * DAY_SECONDS;
  const era = Math.floor(days / 146_097);
  const ofEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const ofYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const fromMarch = Math.floor((5 * ofYear + 2) / 153);
  const day = ofYear - Math.floor((153 * fromMarch + 2) / 5) + 1;
  const month = fromMarch < 10 ? fromMarch + 3 : fromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  const minutes = Math.floor(ofDay / 60);
  return { year, month, day, hour: Math.floor(minutes / 60), minute: minutes % 60, second: ofDay % 60 };
}

function two(value: number): string {
  return String(value).padStart(2, "0");
}
