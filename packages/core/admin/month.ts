import { DAY_MS } from "../units.ts";

const lengths = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31] as const;

/** Returns the UTC month of a time in ms: `2026-01`. Computed by hand, because the core has no `Date`. */
export function formatMonth(ms: number): string {
  let days = Math.floor(ms / DAY_MS);
  let year = 1970;
  for (; days >= daysOfYear(year); year++) days -= daysOfYear(year);
  let month = 1;
  for (; days >= daysOfMonth(year, month); month++) days -= daysOfMonth(year, month);
  return text(year, month);
}

/** Returns the month before: `2025-12` for `2026-01`. */
export function monthBefore(of: string): string {
  const [year = 0, month = 0] = of.split("-").map(Number);
  return month > 1 ? text(year, month - 1) : text(year - 1, 12);
}

function daysOfYear(year: number): number {
  return isLeap(year) ? 366 : 365;
}

function daysOfMonth(year: number, month: number): number {
  return month === 2 && isLeap(year) ? 29 : (lengths[month - 1] ?? 31);
}

function isLeap(year: number): boolean {
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
}

function text(year: number, month: number): string {
  return `${year}-${String(month).padStart(2, "0")}`;
}
