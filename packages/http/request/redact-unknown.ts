import type * as z from "zod";
import { schemaAt } from "../schema.ts";
import { HIDDEN, MOST_ENTRIES, shownEntries } from "./redaction.ts";

export function knownPart(value: unknown, schema: z.core.$ZodType | undefined): unknown {
  if (typeof value !== "object" || value === null) return value;
  const at = (part: PropertyKey) => schema && schemaAt(schema, [part]);
  if (Array.isArray(value)) return value.slice(0, MOST_ENTRIES).map((entry) => keepKnown(entry, at(0)));
  const shown = (name: string, entry: unknown) => (at(name) === undefined ? HIDDEN : keepKnown(entry, at(name)));
  return Object.fromEntries(shownEntries(value).map(([name, entry]) => [name, shown(name, entry)]));
}

function keepKnown(value: unknown, schema: z.core.$ZodType | undefined): unknown {
  const isDeeper = typeof value === "object" && value !== null && schema === undefined;
  return isDeeper ? HIDDEN : knownPart(value, schema);
}
