/**
 * A deep copy as a store would hand it out after a round trip through JSON: undefined fields are gone.
 * Throws for what JSON would change silently (NaN, dates, class instances, functions).
 */
export function copyOfData<T>(value: T): T {
  return copy(value) as T;
}

/**
 * The same copy, frozen, so that a store and its readers may share it: who changes it fails. What was frozen here
 * before is not copied again, so that a new version of a record costs what is new in it.
 */
export function frozenData<T>(value: T): T {
  return freeze(value) as T;
}

function copy(value: unknown): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map(copy);
  if (typeof value === "object" && isPlain(value)) return copyOfObject(value as Record<string, unknown>);
  throw new Error(`Not data: ${typeof value === "object" ? "an instance of a class" : String(value)}`);
}

/** What was made here and therefore is frozen to the last field. */
const frozen = new WeakSet<object>();

function freeze(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return copy(value);
  if (frozen.has(value)) return value;
  const result = Array.isArray(value) ? value.map(freeze) : freezeFields(value);
  frozen.add(result);
  return Object.freeze(result);
}

function freezeFields(value: object): object {
  if (!isPlain(value)) return copy(value) as object;
  return withFields(value as Record<string, unknown>, freeze);
}

function copyOfObject(value: Record<string, unknown>): Record<string, unknown> {
  return withFields(value, copy);
}

/**
 * V8 spreads an object in nanoseconds while its fields stand as they were written, and in microseconds once one was
 * added by a computed name or deleted: so the copy begins as a spread, and undefined fields go by another way.
 */
function withFields(value: Record<string, unknown>, each: (field: unknown) => unknown): Record<string, unknown> {
  const result = { ...value };
  let hasUndefined = false;
  for (const name in result) {
    const field = result[name];
    if (field === undefined) {
      hasUndefined = true;
      continue;
    }
    const kept = each(field);
    if (kept !== field) result[name] = kept;
  }
  if (!hasUndefined) return result;
  return Object.fromEntries(Object.entries(result).filter(([, field]) => field !== undefined));
}

function isPlain(value: object): boolean {
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}
