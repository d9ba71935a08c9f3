const LONGEST_MS = 30_000;

/** How many ms to wait until the next look at what has taken this long already: a quarter of that, at most 30 s. */
export function patienceMs(takenMs: number): number {
  return Math.min(takenMs / 4, LONGEST_MS);
}
