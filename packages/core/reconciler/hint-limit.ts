import type { Context } from "../context.ts";

/** So many signals of one record are passed on at once, where an ordinary life has about five; then one in a pause. */
const MOST_OF_ONE = 10;
const PAUSE_MS = 2_000;
/** So many signals of all records: a cluster that forgot where a watch was signals each living run. Then one a ms. */
const MOST_AT_ONCE = 10_000;
const PACE_MS = 1;
const SAID_EVERY_MS = 60_000;

/**
 * How long the hint for a change of this record waits, ms. Undefined: there is none, since another one is on its way
 * that is looked at later than this change, or since there are too many of all, and the next look finds what changed.
 */
type DelayOf = (key: string) => number | undefined;

/**
 * Holds hints to a pace, so that nothing in the world causes looks without a bound
 * (docs/architecture/reconciliation.md).
 */
export function hintLimit({ clock, log }: Context): DelayOf {
  /** When all signals of a record may be passed on at once again; the record that had none for longest is first. */
  const restedAt = new Map<string, number>();
  let allRestedAt = 0;
  let saidAt = Number.NEGATIVE_INFINITY;
  const isTooMuch = (now: number) => {
    if (allRestedAt - (MOST_AT_ONCE - 1) * PACE_MS <= now) return false;
    if (now - saidAt < SAID_EVERY_MS) return true;
    log.warn("signals dropped", { most: MOST_AT_ONCE });
    saidAt = now;
    return true;
  };
  return (key) => {
    const now = clock.monotonic();
    const rested = Math.max(restedAt.get(key) ?? now, now);
    const delayMs = Math.max(0, rested - (MOST_OF_ONE - 1) * PAUSE_MS - now);
    if (delayMs > PAUSE_MS || isTooMuch(now)) return undefined;
    allRestedAt = Math.max(allRestedAt, now) + PACE_MS;
    restedAt.delete(key);
    restedAt.set(key, rested + PAUSE_MS);
    forgetOldest(restedAt);
    return delayMs;
  };
}

/** A record that is forgotten may have all its signals at once again, which `MOST_AT_ONCE` bounds as well. */
function forgetOldest(restedAt: Map<string, number>): void {
  if (restedAt.size <= MOST_AT_ONCE) return;
  for (const oldest of restedAt.keys()) {
    restedAt.delete(oldest);
    return;
  }
}
