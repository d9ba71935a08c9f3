import { LISTED_MS } from "../reconciler/pending-creates.ts";

/** A volume or a snapshot that the latest answered check did not see. Times are ms. */
export interface Absence {
  /** Start of the absence, moved forward by the time that does not count; absent if the latest check saw it. */
  readonly missedAt?: number | undefined;
  /** The latest recorded check that was answered and missed it again. */
  readonly missedAgainAt?: number | undefined;
}

export const ABSENCE_CHECK_MS = 60_000;
/** Absence after which a volume or a completed backup counts as gone. EC2 may list it that late. */
export const GONE_MS = LISTED_MS;
/** A longer gap means that no worker ran, or the provider was unreachable. */
export const MOST_COUNTED_MS = 2 * ABSENCE_CHECK_MS;
/** A check sooner than this after the recorded one is not recorded, which saves a write. */
const NOTED_MS = ABSENCE_CHECK_MS / 2;

export const NOT_MISSED: Absence = { missedAt: undefined, missedAgainAt: undefined };

export function missedAgain(absence: Absence, now: number): Absence {
  const { missedAt, missedAgainAt } = absence;
  if (missedAt === undefined) return { missedAt: now, missedAgainAt: undefined };
  // A worker of an older version may have left `missedAgainAt` of an earlier absence.
  const gapMs = now - Math.max(missedAt, missedAgainAt ?? missedAt);
  const noted = { missedAt: missedAt + Math.max(0, gapMs - MOST_COUNTED_MS), missedAgainAt: now };
  if (isGone(absence) || (gapMs < NOTED_MS && !isGone(noted))) return absence;
  return noted;
}

export function isGone({ missedAt, missedAgainAt }: Absence): boolean {
  return missedAt !== undefined && missedAgainAt !== undefined && missedAgainAt - missedAt >= GONE_MS;
}

export function isLate(absence: Absence): boolean {
  return absence.missedAt !== undefined && !isGone(absence);
}
