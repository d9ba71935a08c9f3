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

/** No JSON of what `frozenData` answered has more bytes: seen without a text, and without looking at what is not new. */
export function mostBytesOf(value: unknown): number {
  if (typeof value === "string") return value.length * MOST_OF_CHARACTER + 2;
  if (typeof value !== "object" || value === null) return MOST_OF_NUMBER;
  return Frozen.mostBytesOf(value) ?? Number.POSITIVE_INFINITY;
}

function copy(value: unknown): unknown {
  if (value === null || typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "number" && Number.isFinite(value)) return value;
  if (Array.isArray(value)) return value.map(copy);
  if (typeof value === "object" && isPlain(value)) return copyOfObject(value as Record<string, unknown>);
  throw new Error(`Not data: ${typeof value === "object" ? "an instance of a class" : String(value)}`);
}

class Returned {
  constructor(value: object) {
    // biome-ignore lint/correctness/noConstructorReturn: so a field of the class below is put on what is there already.
    return value;
  }
}

/**
 * Marks what was frozen here to the last field, and notes how large it may be. Such a mark costs nothing that entries of
 * a WeakMap do, which are looked through at every garbage collection; nobody sees it, and a spread does not take it along.
 */
class Frozen extends Returned {
  readonly #mostBytes: number;

  constructor(value: object, mostBytes: number) {
    super(value);
    this.#mostBytes = mostBytes;
  }

  static mostBytesOf(value: object): number | undefined {
    return #mostBytes in value ? value.#mostBytes : undefined;
  }
}

function freeze(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return copy(value);
  if (Frozen.mostBytesOf(value) !== undefined) return value;
  const result = Array.isArray(value) ? value.map(freeze) : freezeFields(value);
  return Object.freeze(new Frozen(result, mostBytes(result)));
}

/** A character may become `\u001f`. */
const MOST_OF_CHARACTER = 6;
/** As `-1.7976931348623157e+308`. */
const MOST_OF_NUMBER = 24;

function mostBytes(value: object): number {
  let bytes = 2;
  if (Array.isArray(value)) for (const one of value) bytes += mostBytesOf(one) + 1;
  else {
    const fields = value as Readonly<Record<string, unknown>>;
    for (const name in fields) bytes += name.length * MOST_OF_CHARACTER + 4 + mostBytesOf(fields[name]);
  }
  return bytes;
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
