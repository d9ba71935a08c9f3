/**
 * Returns the path of a text or name with NUL or an unpaired surrogate, which stores and terminals change or
 * truncate. Returns undefined if the value has no such text.
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
