import { type Disk, GONE_MS, MISSED_LOOK_MS } from "./record.ts";
import { originOf } from "./source.ts";

const LONGEST_MISSED_LOOK_MS = 24 * 3_600_000;

/** When what was missed is looked for again: less and less often once it is gone; null: nothing was. */
export function missedLookAt(disk: Disk, now: number): number | null {
  const { volumeMissedAt, snapshots } = disk;
  const backups = snapshots.filter(({ completed }) => completed);
  const marks = [volumeMissedAt, originOf(disk)?.missedAt, ...backups.map(({ missedAt }) => missedAt)];
  const missed = marks.filter((at) => at !== undefined);
  if (missed.length === 0) return null;
  const age = now - Math.max(...missed);
  return now + (age < GONE_MS ? MISSED_LOOK_MS : Math.min(age, LONGEST_MISSED_LOOK_MS));
}
