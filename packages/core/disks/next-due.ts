import { pollBackoffMs } from "../reconciler/backoff.ts";
import { earliestConfirmableAt } from "../reconciler/pending-creates.ts";
import { DAY_MS } from "../units.ts";
import { ABSENCE_CHECK_MS, type Absence, isGone } from "./absence.ts";
import { isBackupWanted } from "./backups/lost-backup.ts";
import { findOrigin, hasOnlyVolume } from "./backups/source.ts";
import { nextRequestAt } from "./backups/take-snapshot.ts";
import { unclaimAt } from "./backups/thinning.ts";
import { idleAt, removedAgainAt } from "./idle-volume.ts";
import { type Disk, isClaimed, isPending, volumeAbsence } from "./record.ts";
import { removalAgainAt } from "./removal.ts";

export const LEASE_MS = 60_000;
const PENDING_MS = 5_000;
const TAGS_MS = DAY_MS;
const TAGS_AGAIN_MS = 600_000;

export function nextDueAt(disk: Disk, now: number, idleDays: number): number | undefined {
  if (disk.snapshots.some((snapshot) => snapshot.failed && isPending(snapshot))) return now;
  if (isClaimed(disk) || disk.snapshots.some(isPending)) {
    const since = disk.snapshots.findLast(isPending)?.at ?? now;
    return now + Math.max(PENDING_MS, pollBackoffMs(now - since));
  }
  const againAt = disk.lost?.notBefore ?? now;
  const wanted = againAt > now ? againAt : now + LEASE_MS;
  const tags = now + (disk.taggedAs === null ? TAGS_AGAIN_MS : TAGS_MS);
  const made = disk.making.length > 0 ? earliestConfirmableAt(disk.making) : null;
  const idle = idleAt(disk, idleDays);
  const moments = [
    isBackupWanted(disk) ? wanted : null,
    disk.phase === "deleted" ? disk.purgeAt : null,
    disk.snapshots.length > 0 ? tags : null,
    hasOnlyVolume(disk) ? now + TAGS_MS : null,
    made,
    nextRequestAt(disk, now),
    nextMissingCheckAt(disk, now),
    unclaimAt(disk),
    removedAgainAt(disk),
    // If it was due, this step has just tried it.
    idle === null || idle > now ? idle : now + TAGS_MS,
    ...disk.snapshots.map(({ unremoved }) => (unremoved ? removalAgainAt(unremoved) : null)),
  ];
  const coming = moments.filter((at) => at !== null);
  return coming.length > 0 ? Math.min(...coming) : undefined;
}

const LONGEST_ABSENCE_CHECK_MS = DAY_MS;

function nextMissingCheckAt(disk: Disk, now: number): number | null {
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
