/**
 * Returns what of `before` is not in `after`, by id. What stayed has the same order in both as a rule, so that only what
 * comes after the first difference needs a lookup: a large pool has a hundred thousand entries, and a plan changes a few.
 */
export function leftBetween<One extends { readonly id: string }>(
  before: readonly One[],
  after: readonly { readonly id: string }[],
): One[] {
  let same = 0;
  const skipped = before.filter((one) => {
    const next = after[same];
    if (next !== one && next?.id !== one.id) return true;
    same += 1;
    return false;
  });
  if (skipped.length === 0) return skipped;
  const rest = new Set(after.slice(same).map(({ id }) => id));
  return skipped.filter(({ id }) => !rest.has(id));
}
