import type { FieldProblem } from "#core/problem.ts";

/** One text for the first bad field, for dialects without a list; `otherwise` when no field is bad. */
export function textOfFirst(fields: readonly FieldProblem[], otherwise: string): string {
  const [first] = fields;
  if (!first || first.type === "json_invalid") return otherwise;
  const ending = endings[first.type];
  return ending === undefined ? first.message : `${nameOf(first)} ${ending}`;
}

/** The field as the client wrote it: `env_vars.PATH`, without the word for where it was. */
export function nameOf({ path }: FieldProblem): string {
  return path.length > 1 ? path.slice(1).join(".") : path.join(".");
}

/** Worded after the field's name; a type that is not here speaks with its own message. */
const endings: Readonly<Record<string, string>> = {
  missing: "is required",
  string_type: "must be a string",
  int_type: "must be an integer",
  float_type: "must be a number",
  dict_type: "must be an object",
};
