import type { FieldProblem } from "#core/problem.ts";

export function textOfFirst(fields: readonly FieldProblem[], otherwise: string): string {
  const [first] = fields;
  return first && first.type !== "json_invalid" ? formatSentence(first) : otherwise;
}

export function formatSentence(field: FieldProblem): string {
  const { type, message, isOwn, isAbsent, range } = field;
  if (isOwn) return message;
  if (isAbsent) return `${formatFieldName(field)} is required`;
  if (range) return `${formatFieldName(field)} must be between ${range[0]} and ${range[1]}`;
  const ending = endings[type];
  return ending ? `${formatFieldName(field)} ${ending}` : aboutField(message, formatFieldName(field));
}

/** Returns the field as the client wrote it (`env_vars.PATH`), without its location. */
export function formatFieldName({ path }: FieldProblem): string {
  return path.length > 1 ? path.slice(1).join(".") : path.join(".");
}

const endings: Readonly<Record<string, string>> = {
  missing: "is required",
  string_type: "must be a string",
  string_too_long: "is too long",
  int_type: "must be an integer",
  float_type: "must be a number",
  dict_type: "must be an object",
};

/** Rewords a general message for one field: `Input should be one of: a, b` becomes `kind must be one of: a, b`. */
function aboutField(message: string, name: string): string {
  return message.replace(/^(?:Input|String) (should|is)\b/, (_, verb) => `${name} ${verb === "is" ? "is" : "must"}`);
}
