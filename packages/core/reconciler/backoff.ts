const LONGEST_MS = 30_000;

/**
 * Returns how many ms to wait before the next check of something that has taken this long: a quarter of it, at most 30
 * s.
 */
export function pollBackoffMs(takenMs: number): number {
  return Math.min(takenMs / 4, LONGEST_MS);
}
