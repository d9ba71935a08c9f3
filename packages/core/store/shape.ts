/**
 * A type guard for a stored value. `exactly` never exists; it prevents the compiler from accepting a check with fewer
 * words, because a phase missing in a list would poison living records.
 */
export type Check<T> = ((value: unknown) => value is T) & { readonly exactly?: (value: T) => T };

/** One check per field of a record, including optional fields. The compiler rejects a table without one. */
export type Table<T> = { readonly [Field in keyof T]-?: Check<T[Field]> };

export const text: Check<string> = (value) => typeof value === "string";
export const flag: Check<boolean> = (value) => typeof value === "boolean";
/** A flag that is true or absent. */
export const mark: Check<true | undefined> = (value): value is true | undefined =>
  value === true || value === undefined;
/** Checks for a finite number, such as milliseconds. */
export const number: Check<number> = (value): value is number => Number.isFinite(value);
/** Checks for a whole number, 0 or more. */
export const count: Check<number> = (value): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
/** Checks for a whole number, 1 or more. */
export const ordinal: Check<number> = (value): value is number => Number.isSafeInteger(value) && (value as number) >= 1;
/** Checks 32 hex digits. A plan of a large pool checks 100,000, which takes 0.1 s with a regular expression. */
export const uid: Check<string> = (value): value is string => {
  if (typeof value !== "string" || value.length !== 32) return false;
  for (let at = 0; at < 32; at++) {
    const code = value.charCodeAt(at);
    if (!((code >= DIGIT_0 && code <= DIGIT_9) || (code >= LETTER_A && code <= LETTER_F))) return false;
  }
  return true;
};

const [DIGIT_0, DIGIT_9, LETTER_A, LETTER_F] = [48, 57, 97, 102];

export function literal<Word extends string>(...words: readonly Word[]): Check<Word> {
  const knownWords: ReadonlySet<unknown> = new Set(words);
  return (value): value is Word => knownWords.has(value);
}

export function branded<Brand extends string>(): Check<Brand> {
  return (value): value is Brand => typeof value === "string";
}

export function orNull<T>(check: Check<T>): Check<T | null> {
  return (value): value is T | null => value === null || check(value);
}

export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value): value is T | undefined => value === undefined || check(value);
}

export function list<T>(check: Check<T>): Check<readonly T[]> {
  return (value): value is readonly T[] => Array.isArray(value) && value.every(check);
}

export function pair<One, Other>(left: Check<One>, right: Check<Other>): Check<readonly [One, Other]> {
  return (value): value is readonly [One, Other] =>
    Array.isArray(value) && value.length === 2 && left(value[0]) && right(value[1]);
}

export function mapping<T>(check: Check<T>): Check<Readonly<Record<string, T>>> {
  return (value): value is Readonly<Record<string, T>> => isObject(value) && Object.values(value).every(check);
}

/** Checks for an object with these fields. Further fields are allowed. */
export function shape<T>(table: Table<T>): Check<T> {
  const names = Object.keys(table);
  const checks = Object.values(table) as Check<unknown>[];
  return (value): value is T => {
    if (!isObject(value)) return false;
    for (let at = 0; at < names.length; at++) if (!checks[at]?.(value[names[at] ?? ""])) return false;
    return true;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
