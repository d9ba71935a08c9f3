import type * as z from "zod";
import { fieldNames, fieldSchema, isRequired } from "../schema.ts";

/**
 * Returns the input without optional fields that are null, in nested objects too
 * (docs/apis/common.md#headers-and-bodies). Required fields keep their null, so that the schema refuses it.
 */
export function withoutNulls(schema: z.core.$ZodType, input: unknown): unknown {
  const names = new Set(fieldNames(schema));
  if (names.size === 0 || typeof input !== "object" || input === null || Array.isArray(input)) return input;
  const kept = Object.entries(input).flatMap(([name, value]): [string, unknown][] => {
    const field = names.has(name) ? fieldSchema(schema, name) : undefined;
    if (!field) return [[name, value]];
    if (value === null) return isRequired(field) ? [[name, null]] : [];
    return [[name, withoutNulls(field, value)]];
  });
  return Object.fromEntries(kept);
}
