/**
 * Returns the entries of `before` that are not in `after`, by id. Both usually have the same order, so only entries
 * after the first difference need a lookup. A large pool has 100,000 entries, and a plan changes a few.
 */
export function leftBetween<One extends { readonly id: string }>(
  before: readonly One[],
  after: readonly { readonly id: string }[],
): One[] {
  let same = 0;
  const skipped = before.filter((holding) => {
    const next = after[same];
    if (next !== holding && next?.id !== holding.id) return true;
    same += 1;
    return false;
  });
  if (skipped.length === 0) return skipped;
  const rest = new Set(after.slice(same).map(({ id }) => id));
  return skipped.filter(({ id }) => !rest.has(id));
}
