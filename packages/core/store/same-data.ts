/** Reports whether two JSON values are equal. Field order does not matter, and undefined counts as absent. */
export function sameData(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (Array.isArray(a) && Array.isArray(b)) return sameLists(a, b);
  if (Array.isArray(a) || Array.isArray(b)) return false;
  const [left, right] = [a, b] as readonly Readonly<Record<string, unknown>>[];
  const isSame = (name: string) => sameData(left?.[name], right?.[name]);
  return Object.keys(a).every(isSame) && Object.keys(b).every((name) => Object.hasOwn(a, name) || isSame(name));
}

function sameLists(a: readonly unknown[], b: readonly unknown[]): boolean {
  const longer = a.length < b.length ? b : a;
  return longer.every((_, place) => sameData(a[place], b[place]));
}
