/**
 * Whether a stored value has this form. Tables of them say what a record must hold to be believed. `exactly`, which no
 * check has, lets no check of fewer words stand for one of more: a phase that a list forgets would poison living records.
 */
export type Check<T> = ((value: unknown) => value is T) & { readonly exactly?: (value: T) => T };

/** One check for each field of a record, optional ones too: the compiler refuses a table that forgets one. */
export type Table<T> = { readonly [Field in keyof T]-?: Check<T[Field]> };

export const text: Check<string> = (value) => typeof value === "string";
export const flag: Check<boolean> = (value) => typeof value === "boolean";
/** A mark that is there or not. */
export const mark: Check<true | undefined> = (value): value is true | undefined =>
  value === true || value === undefined;
/** Checks milliseconds, and whatever may be a fraction; NaN and infinities are no numbers. */
export const number: Check<number> = (value): value is number => Number.isFinite(value);
/** How many: whole and not negative. */
export const count: Check<number> = (value): value is number => Number.isSafeInteger(value) && (value as number) >= 0;
/** A number that counts from 1. */
export const ordinal: Check<number> = (value): value is number => Number.isSafeInteger(value) && (value as number) >= 1;
/** Checks 32 hex digits. A plan of a large pool checks a hundred thousand, which costs a regular expression 0.1 s. */
export const uid: Check<string> = (value): value is string => {
  if (typeof value !== "string" || value.length !== 32) return false;
  for (let at = 0; at < 32; at++) {
    const code = value.charCodeAt(at);
    if (!((code >= DIGIT_0 && code <= DIGIT_9) || (code >= LETTER_A && code <= LETTER_F))) return false;
  }
  return true;
};

const [DIGIT_0, DIGIT_9, LETTER_A, LETTER_F] = [48, 57, 97, 102];

/** A word of a closed list. */
export function oneOf<Word extends string>(...words: readonly Word[]): Check<Word> {
  const known: ReadonlySet<unknown> = new Set(words);
  return (value): value is Word => known.has(value);
}

/** Text under a name of its own, as `Sealed` is. */
export function branded<Brand extends string>(): Check<Brand> {
  return (value): value is Brand => typeof value === "string";
}

export function orNull<T>(check: Check<T>): Check<T | null> {
  return (value): value is T | null => value === null || check(value);
}

export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value): value is T | undefined => value === undefined || check(value);
}

export function listOf<T>(check: Check<T>): Check<readonly T[]> {
  return (value): value is readonly T[] => Array.isArray(value) && value.every(check);
}

export function pairOf<One, Other>(one: Check<One>, other: Check<Other>): Check<readonly [One, Other]> {
  return (value): value is readonly [One, Other] =>
    Array.isArray(value) && value.length === 2 && one(value[0]) && other(value[1]);
}

/** Names that are nobody's to choose, each with such a value. */
export function mapOf<T>(check: Check<T>): Check<Readonly<Record<string, T>>> {
  return (value): value is Readonly<Record<string, T>> => isObject(value) && Object.values(value).every(check);
}

/** An object with these fields, whatever else it holds. */
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
