import { LISTED_MS } from "../reconciler/making.ts";

/** A volume or a snapshot that the latest answered look did not see. Times are ms. */
export interface Absence {
  /** Since when it is missed, moved on by the time that does not count; missing: the latest look saw it. */
  readonly missedAt?: number | undefined;
  /** The latest answered look that is noted and missed it too. */
  readonly missedAgainAt?: number | undefined;
}

/** Interval between looks for something that an earlier look missed. */
export const MISSED_LOOK_MS = 60_000;
/** Absence after which a volume or a completed backup counts as gone. EC2 may list it that late. */
export const GONE_MS = LISTED_MS;
/** The most that counts between two answered looks: in a longer gap no worker looked, or the provider was away. */
export const MOST_COUNTED_MS = 2 * MISSED_LOOK_MS;
/** A look that follows the noted one more closely is not noted, which saves a write. */
const NOTED_MS = MISSED_LOOK_MS / 2;

export const NOT_MISSED: Absence = { missedAt: undefined, missedAgainAt: undefined };

/** Returns the absence after a look that the provider answered at `now`, and that missed it. */
export function missedAgain(absence: Absence, now: number): Absence {
  const { missedAt, missedAgainAt } = absence;
  if (missedAt === undefined) return { missedAt: now, missedAgainAt: undefined };
  // A worker of an older version may have left `missedAgainAt` of an earlier absence.
  const gapMs = now - Math.max(missedAt, missedAgainAt ?? missedAt);
  const noted = { missedAt: missedAt + Math.max(0, gapMs - MOST_COUNTED_MS), missedAgainAt: now };
  if (isGone(absence) || (gapMs < NOTED_MS && !isGone(noted))) return absence;
  return noted;
}

/** Reports whether answered looks missed it for so long that it counts as gone. */
export function isGone({ missedAt, missedAgainAt }: Absence): boolean {
  return missedAt !== undefined && missedAgainAt !== undefined && missedAgainAt - missedAt >= GONE_MS;
}

/** Reports whether it is missed, and may still be seen again. */
export function isLate(absence: Absence): boolean {
  return absence.missedAt !== undefined && !isGone(absence);
}
