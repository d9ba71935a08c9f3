/**
 * Where in a value a text, also a name, holds a NUL or half of a surrogate pair: stores and terminals change such
 * texts or break them off, so none is kept. Undefined: nowhere.
 */
export function brokenTextIn(
  value: unknown,
  path: readonly (string | number)[] = [],
): readonly (string | number)[] | undefined {
  if (typeof value === "string") return isBroken(value) ? path : undefined;
  if (typeof value !== "object" || value === null) return undefined;
  for (const [name, inner] of Object.entries(value)) {
    const place = [...path, Array.isArray(value) ? Number(name) : name];
    const found = isBroken(name) ? path : brokenTextIn(inner, place);
    if (found) return found;
  }
  return undefined;
}

function isBroken(text: string): boolean {
  return text.includes("\0") || !text.isWellFormed();
}
