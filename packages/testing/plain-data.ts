/**
 * A deep copy as a store would hand it out after a round trip through JSON: undefined fields are gone.
 * Throws for what JSON would change silently (NaN, dates, class instances, functions).
 */
export function copyOfData<T>(value: T): T {
  return copy(value) as T;
}

function copy(value: unknown): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map(copy);
  if (typeof value === "object" && isPlain(value)) return copyOfObject(value as Record<string, unknown>);
  throw new Error(`Not data: ${typeof value === "object" ? "an instance of a class" : String(value)}`);
}

function copyOfObject(value: Record<string, unknown>): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  for (const name of Object.keys(value)) {
    const field = value[name];
    if (field !== undefined) result[name] = copy(field);
  }
  return result;
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
