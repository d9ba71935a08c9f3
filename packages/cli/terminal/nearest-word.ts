/** Returns the candidate that differs least from a word: by at most 2 letters, and by less than half of them. */
export function nearestWord(word: string, candidates: readonly string[]): string | undefined {
  const most = Math.min(2, Math.floor((word.length - 1) / 2));
  const distances = candidates.map((candidate) => [editDistance(plain(word), plain(candidate)), candidate] as const);
  const [nearest] = distances.filter(([distance]) => distance <= most).toSorted(([left], [two]) => left - two);
  return nearest?.[1];
}

/** Case and separators do not count. */
function plain(word: string): string {
  return word.toLowerCase().replace(/[-_ ]/g, "");
}

/** The Levenshtein distance. Words of different lengths beyond 2 are far enough apart. */
function editDistance(word: string, two: string): number {
  if (Math.abs(word.length - two.length) > 2) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: two.length + 1 }, (_, at) => at);
  for (const [at, letter] of Array.from(word).entries()) {
    const next = [at + 1];
    for (const [index, otherLetter] of Array.from(two).entries()) {
      const replaced = (row[index] ?? 0) + (letter === otherLetter ? 0 : 1);
      next.push(Math.min(replaced, (row[index + 1] ?? 0) + 1, (next[index] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
