import type { Schema } from "../endpoint.ts";
import type { PlainResponse } from "../request/plain-request.ts";
import { asksForNothing } from "../request/unknown-fields.ts";
import { fieldNames } from "../schema.ts";

/** The header that names what a request said in vain. It is the same in every dialect. */
const IGNORED_HEADER = "Berth-Ignored";
const MOST_NAMES = 20;
const LONGEST_NAME = 64;

/** Returns the names of an input that its schema does not have, without those that ask for nothing. */
export function ignoredNames(schema: Schema | undefined, input: Readonly<Record<string, unknown>>): string[] {
  const ownFields = schema && fieldNames(schema);
  // A schema that is no plain object may read any name.
  if (ownFields?.length === 0) return [];
  return Object.keys(input).filter((name) => !ownFields?.includes(name) && !asksForNothing(input[name]));
}

/** Returns names as an answer shows them. A client chose them, so other characters than those of names become `_`. */
export function shownNames(names: readonly string[]): string[] {
  const shown = names.map((name) => name.slice(0, LONGEST_NAME).replace(/[^\w.-]/g, "_"));
  return [...new Set(shown)].filter((name) => name !== "").slice(0, MOST_NAMES);
}

/** Adds the header where names were ignored. */
export function namingIgnored(response: PlainResponse, ignored: readonly string[]): PlainResponse {
  if (ignored.length === 0) return response;
  return { ...response, headers: { ...response.headers, [IGNORED_HEADER]: ignored.join(", ") } };
}
