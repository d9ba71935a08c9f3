import type { FieldProblem } from "#core/problem.ts";
import type { FieldLocation } from "./field-problems.ts";
import { HIDDEN } from "./redaction.ts";

export type UsualNames = Readonly<Record<string, readonly string[]>>;

/** Bounds the comparisons, because a body of 1 MiB has room for 100,000 names. */
const MOST_UNKNOWN = 100;
const LONGEST_NAME = 40;

export type OtherWays = Readonly<Record<string, string>>;

export interface RefusedFields {
  readonly misspelt: UsualNames;
  readonly instead?: OtherWays | undefined;
  readonly place?: FieldLocation;
}

export function misspeltFields(
  fields: readonly string[],
  input: Readonly<Record<string, unknown>>,
  { misspelt, instead = {}, place = "body" }: RefusedFields,
): FieldProblem[] {
  const noun = place === "body" ? "field" : "parameter";
  const refused = (path: string[], message: string) => ({ type: "value_error", path, message, input: HIDDEN });
  const unknown = unknownIn(fields, input);
  if (unknown.length > MOST_UNKNOWN) {
    return [refused([place], `At most ${MOST_UNKNOWN} ${noun}s with unknown names are allowed`)];
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
 * Returns unknown names that resemble an absent known field, each with that field. Other unknown names and empty
 * values are ignored (docs/apis/common.md#headers-and-bodies).
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

/** Reports whether a value is equivalent to its absence. */
export function asksForNothing(value: unknown): boolean {
  if (typeof value === "object") return Object.keys(value ?? {}).length === 0;
  return value === undefined || value === false || value === "";
}

function isThere(body: Readonly<Record<string, unknown>>, name: string): boolean {
  return Object.hasOwn(body, name) && body[name] !== undefined && body[name] !== null;
}

/** An `environment` such as "production" is not a map of variables, so it is a newer client's field. */
function isJudged(name: string, value: unknown): boolean {
  return name.length <= LONGEST_NAME && (getPlain(name) !== "environment" || typeof value === "object");
}

function meantBy(fields: readonly string[], plain: string, usual: UsualNames): string | undefined {
  const far = Object.hasOwn(usual, plain) ? usual[plain]?.find((field) => fields.includes(field)) : undefined;
  return far ?? fields.find((field) => isNear(getPlain(field), plain));
}

/** Normalizes `gpuCount`, `GPU_COUNT` and `gpu-count` to the same name. */
function getPlain(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9]/g, "");
}

function isNear(left: string, right: string): boolean {
  const most = left.length < 8 ? 1 : 2;
  if (left[0] !== right[0] || Math.abs(left.length - right.length) > most) return false;
  return distance(left, right) <= most;
}

/** Returns the optimal string alignment distance. */
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
