import type { FieldProblem } from "#core/problem.ts";

/** One text for the first bad field, for dialects without a list; `otherwise` when no field is bad. */
export function textOfFirst(fields: readonly FieldProblem[], otherwise: string): string {
  const [first] = fields;
  return first && first.type !== "json_invalid" ? formatSentence(first) : otherwise;
}

/** Returns the fault of a field as a sentence: `timeout must be between 1 and 3600`. */
export function formatSentence(field: FieldProblem): string {
  const { type, message, isOwn, isAbsent, range } = field;
  if (isOwn) return message;
  if (isAbsent) return `${formatFieldName(field)} is required`;
  if (range) return `${formatFieldName(field)} must be between ${range[0]} and ${range[1]}`;
  const ending = endings[type];
  return ending ? `${formatFieldName(field)} ${ending}` : aboutField(message, formatFieldName(field));
}

/** The field as the client wrote it: `env_vars.PATH`, without the word for where it was. */
export function formatFieldName({ path }: FieldProblem): string {
  return path.length > 1 ? path.slice(1).join(".") : path.join(".");
}

/** Worded after the field's name; a type that is not here speaks with its own message. */
const endings: Readonly<Record<string, string>> = {
  missing: "is required",
  string_type: "must be a string",
  string_too_long: "is too long",
  int_type: "must be an integer",
  float_type: "must be a number",
  dict_type: "must be an object",
};

/** The words for every kind of input, said of this one: `Input should be one of: a, b` is `kind must be one of: a, b`. */
function aboutField(message: string, name: string): string {
  return message.replace(/^(?:Input|String) (should|is)\b/, (_, verb) => `${name} ${verb === "is" ? "is" : "must"}`);
}
