const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;

/**
 * A moment in words for a timeline: `2026-01-20 18:30 UTC`. By arithmetic, since the core knows no Date: days are
 * counted from 1 March of year 0 so that a leap day is the last of its year (Howard Hinnant, "chrono-compatible
 * low-level date algorithms").
 */
export function utcText(ms: number): string {
  const minutes = Math.floor(ms / MINUTE_MS);
  const days = Math.floor(minutes / DAY_MINUTES) + 719_468;
  const ofDay = minutes - (days - 719_468) * DAY_MINUTES;
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
  const two = (value: number) => String(value).padStart(2, "0");
  return `${year}-${two(month)}-${two(day)} ${two(Math.floor(ofDay / 60))}:${two(ofDay % 60)} UTC`;
}
