const LONGEST_MS = 30_000;

/** Returns how many ms to wait before the next check: a quarter of the time taken so far, at most 30 s. */
export function pollBackoffMs(takenMs: number): number {
  return Math.min(takenMs / 4, LONGEST_MS);
}
