import { DAY_MS } from "../units.ts";
import { ABSENCE_CHECK_MS, type Absence, isGone } from "./absence.ts";
import { findOrigin } from "./backups/source.ts";
import { type Disk, volumeAbsence } from "./record.ts";

const LONGEST_ABSENCE_CHECK_MS = DAY_MS;

export function nextMissingCheckAt(disk: Disk, now: number): number | null {
  const backups = disk.snapshots.filter(({ completed }) => completed);
  return nextAbsenceCheckAt([volumeAbsence(disk), findOrigin(disk) ?? {}, ...backups], now);
}

/** Returns the time of the next check. Each must search for all of these, or they would cause one every minute. */
export function nextAbsenceCheckAt(absences: readonly Absence[], now: number): number | null {
  const missed = absences.filter(({ missedAt }) => missedAt !== undefined);
  if (missed.length === 0) return null;
  if (!missed.every(isGone)) return now + ABSENCE_CHECK_MS;
  const age = now - Math.max(...missed.map(({ missedAt = now }) => missedAt));
  return now + Math.max(ABSENCE_CHECK_MS, Math.min(age, LONGEST_ABSENCE_CHECK_MS));
}
