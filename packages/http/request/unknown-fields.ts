import type { FieldProblem } from "#core/problem.ts";
import type { FieldLocation } from "./field-problems.ts";
import { HIDDEN } from "./redaction.ts";

/**
 * Other words that clients often write for a field, in small letters and digits only: words that no edit distance
 * finds, and the names of sibling calls. The first one that the body knows is meant.
 */
export type UsualNames = Readonly<Record<string, readonly string[]>>;

/**
 * Bounds the comparisons, since a body of 1 MiB has room for 100,000 names. No real client sends so many unknown ones.
 */
const MOST_UNKNOWN = 100;
const LONGEST_NAME = 40;

/** Words of other products, in small letters and digits only, each with what to use in its place. */
export type OtherWays = Readonly<Record<string, string>>;

export interface RefusedFields {
  readonly misspelt: UsualNames;
  readonly instead?: OtherWays | undefined;
  readonly place?: FieldLocation;
}

/** The misspelt fields of a body or query as they are refused, or that it has too many unknown ones to look for them. */
export function misspeltFields(
  fields: readonly string[],
  input: Readonly<Record<string, unknown>>,
  { misspelt, instead = {}, place = "body" }: RefusedFields,
): FieldProblem[] {
  const noun = place === "body" ? "field" : "parameter";
  // The value may be a secret.
  const refused = (path: string[], message: string) => ({ type: "value_error", path, message, input: HIDDEN });
  const unknown = unknownIn(fields, input);
  if (unknown.length > MOST_UNKNOWN) {
    return [refused([place], `At most ${MOST_UNKNOWN} ${noun}s of unknown names are allowed`)];
  }
  const near = misspeltIn(fields, input, misspelt).map(({ name, meant }) =>
    refused([place, name], `There is no ${noun} of this name. Did you mean ${meant}?`),
  );
  const others = unknown.flatMap((name) => {
    const plain = getPlain(name.slice(0, LONGEST_NAME));
    if (!Object.hasOwn(instead, plain) || asksForNothing(input[name])) return [];
    return [refused([place, name], `There is no ${noun} of this name. ${instead[plain]}`)];
  });
  return [...near, ...others];
}

/**
 * Fields of a body, or parameters of a query, that are not among its own but nearly: each with the one that was
 * probably meant and is not there. Other unknown ones are left alone (docs/apis/common.md#headers-and-bodies), and so
 * are those that ask for nothing.
 */
export function misspeltIn(
  fields: readonly string[],
  body: Readonly<Record<string, unknown>>,
  usual: UsualNames,
): { readonly name: string; readonly meant: string }[] {
  return unknownIn(fields, body).flatMap((name) => {
    if (asksForNothing(body[name]) || !isJudged(name, body[name])) return [];
    const meant = meantBy(fields, getPlain(name), usual);
    // A client that also sends the right name loses nothing.
    return meant === undefined || isThere(body, meant) ? [] : [{ name, meant }];
  });
}

function unknownIn(fields: readonly string[], body: Readonly<Record<string, unknown>>): string[] {
  return Object.keys(body).filter((name) => !fields.includes(name));
}

/** Reports whether a value says the same as its absence. */
export function asksForNothing(value: unknown): boolean {
  if (typeof value === "object") return Object.keys(value ?? {}).length === 0;
  return value === undefined || value === false || value === "";
}

/** Reads this field alone: a body may have 100 misspelt ones beside a value of 1 MiB. */
function isThere(body: Readonly<Record<string, unknown>>, name: string): boolean {
  return Object.hasOwn(body, name) && body[name] !== undefined && body[name] !== null;
}

/** "production" is no variable: an `environment` like it is a field of a newer client. */
function isJudged(name: string, value: unknown): boolean {
  return name.length <= LONGEST_NAME && (getPlain(name) !== "environment" || typeof value === "object");
}

function meantBy(fields: readonly string[], plain: string, usual: UsualNames): string | undefined {
  const far = Object.hasOwn(usual, plain) ? usual[plain]?.find((field) => fields.includes(field)) : undefined;
  return far ?? fields.find((field) => isNear(getPlain(field), plain));
}

/** `gpuCount`, `GPU_COUNT` and `gpu-count` are all the same. */
function getPlain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

/** One letter off, or two in a long name; another first letter makes it another word: `cpu_count` is no GPU count. */
function isNear(left: string, right: string): boolean {
  const most = left.length < 8 ? 1 : 2;
  if (left[0] !== right[0] || Math.abs(left.length - right.length) > most) return false;
  return distance(left, right) <= most;
}

/** How many letters were left out, added, changed or swapped with the next one (optimal string alignment). */
function distance(left: string, right: string): number {
  let before: number[] = [];
  let last = Array.from({ length: right.length + 1 }, (_, n) => n);
  for (let i = 1; i <= left.length; i++) {
    const row = [i];
    for (let j = 1; j <= right.length; j++) {
      const changed = at(last, j - 1) + (left[i - 1] === right[j - 1] ? 0 : 1);
      const isSwapped = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1];
      const swapped = isSwapped ? at(before, j - 2) + 1 : Number.POSITIVE_INFINITY;
      row.push(Math.min(at(last, j) + 1, at(row, j - 1) + 1, changed, swapped));
    }
    [before, last] = [last, row];
  }
  return at(last, right.length);
}

function at(row: readonly number[], n: number): number {
  return row[n] ?? Number.POSITIVE_INFINITY;
}
