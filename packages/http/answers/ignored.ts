import type { Schema } from "../endpoint.ts";
import type { PlainResponse } from "../request/plain-request.ts";
import { asksForNothing } from "../request/unknown-fields.ts";
import { fieldNames } from "../schema.ts";

const IGNORED_HEADER = "Berth-Ignored";
const MOST_NAMES = 20;
const LONGEST_NAME = 64;

export function ignoredNames(schema: Schema | undefined, input: Readonly<Record<string, unknown>>): string[] {
  const ownFields = schema && fieldNames(schema);
  if (ownFields?.length === 0) return [];
  return Object.keys(input).filter((name) => !ownFields?.includes(name) && !asksForNothing(input[name]));
}

/** Cleans client-chosen names for a response header. */
export function shownNames(names: readonly string[]): string[] {
  const shown = names.map((name) => name.slice(0, LONGEST_NAME).replace(/[^\w.-]/g, "_"));
  return [...new Set(shown)].filter((name) => name !== "").slice(0, MOST_NAMES);
}

export function namingIgnored(response: PlainResponse, ignored: readonly string[]): PlainResponse {
  if (ignored.length === 0) return response;
  return { ...response, headers: { ...response.headers, [IGNORED_HEADER]: ignored.join(", ") } };
}
