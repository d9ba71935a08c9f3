import type * as z from "zod";
import type { FieldProblem } from "#core/problem.ts";
import { fieldNames, findBounds, isRequired, isWholeNumber, schemaAt } from "../schema.ts";
import { knownPart } from "./redact-unknown.ts";

export type FieldLocation = "body" | "query";

/**
 * Describes zod's issues as docs/apis/gpu-dev.md#errors does, in the order of the schema's fields. Inputs may be
 * secrets: redact them before showing them.
 */
export function fieldProblems(
  issues: readonly z.core.$ZodIssue[],
  place: FieldLocation,
  schema: z.ZodType,
  input: Record<string, unknown>,
): FieldProblem[] {
  const order = ["", ...fieldNames(schema)];
  // Shared by all missing fields.
  let whole: unknown;
  const rank = (issue: z.core.$ZodIssue) => order.indexOf(String(issue.path[0] ?? ""));
  return firstOfEachPath(issues.toSorted((left, right) => rank(left) - rank(right))).map((issue) => {
    const value = valueAt(input, issue.path);
    const at = schemaAt(schema, issue.path);
    const isMissing = value === undefined && issue.path.length > 0 && issue.code !== "custom";
    const { type, message } = isMissing ? missingAs(issue) : describe(issue, at);
    if (type === missing.type) whole ??= knownPart(input, schema);
    const shown = type === missing.type ? whole : knownPart(value, at);
    const path = [place, ...issue.path.map(pathPart)];
    return { type, path, message, input: shown, ...listFacts(issue, at, value, message) };
  });
}

function listFacts(
  issue: z.core.$ZodIssue,
  schema: z.core.$ZodType | undefined,
  value: unknown,
  message: string,
): Pick<FieldProblem, "isOwn" | "isAbsent" | "range"> {
  const isEmpty = value === undefined || value === null || value === "";
  const isBound =
    !isUnsafeInteger(issue) && (issue.code === "too_small" || issue.code === "too_big") && numbers.has(issue.origin);
  const range = isBound && schema ? findBounds(schema) : undefined;
  return {
    ...(ownMessage(issue) === message && { isOwn: true }),
    ...(isEmpty && issue.code !== "custom" && schema && isRequired(schema) && { isAbsent: true }),
    ...(range && { range }),
  };
}

function ownMessage(issue: z.core.$ZodIssue): string {
  const nested = innerIssue(issue);
  return nested ? ownMessage(nested) : issue.message;
}

/** Keeps the first issue of each field. The limit of safe integers comes last, because a field has closer bounds. */
function firstOfEachPath(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  const byPath = new Map<string, z.core.$ZodIssue>();
  for (const issue of issues) {
    const path = JSON.stringify(issue.path.map(String));
    const first = byPath.get(path);
    if (!first || isUnsafeInteger(first)) byPath.set(path, issue);
  }
  return [...byPath.values()];
}

/** Reports whether zod only says that a number is not a safe integer. No field has that as its bound. */
function isUnsafeInteger(issue: z.core.$ZodIssue): boolean {
  return (issue.code === "too_big" || issue.code === "too_small") && "note" in issue;
}

/** Leaves a message empty unless the schema defines one. */
export const ownMessagesOnly = { error: () => "" };

interface Description {
  readonly type: string;
  readonly message: string;
}

const missing: Description = { type: "missing", message: "Field required" };

/** A missing value gets the schema's message for a wrong type, except for an enum. */
function missingAs(issue: z.core.$ZodIssue): Description {
  return issue.code === "invalid_type" && issue.message ? { ...missing, message: issue.message } : missing;
}

function describe(issue: z.core.$ZodIssue, schema: z.core.$ZodType | undefined): Description {
  const nested = innerIssue(issue);
  if (nested) return describe(nested, schema);
  const { type, message } = generic(issue, schema);
  return { type, message: issue.message || message };
}

function innerIssue(issue: z.core.$ZodIssue): z.core.$ZodIssue | undefined {
  if (issue.code === "invalid_key") return issue.issues[0];
  if (issue.code === "invalid_union" && issue.message === "") return issue.errors[0]?.[0];
  return undefined;
}

function generic(issue: z.core.$ZodIssue, schema: z.core.$ZodType | undefined): Description {
  if (isUnsafeInteger(issue)) return integer;
  switch (issue.code) {
    case "invalid_type":
      return wrongType(issue.expected, schema !== undefined && isWholeNumber(schema));
    case "too_small":
      return tooSmall(issue);
    case "too_big":
      return tooBig(issue);
    case "invalid_format":
      return wrongFormat(issue);
    case "invalid_value":
      return { type: "enum", message: `Input should be one of: ${issue.values.map(String).join(", ")}` };
    case "not_multiple_of":
      return valueError(`Input should be a multiple of ${issue.divisor}`);
    case "custom":
      return { type: typeGiven(issue), message: "Input is not valid" };
    default:
      return valueError("Input is not valid");
  }
}

function wrongType(expected: string, whole: boolean): Description {
  return types[whole && expected === "number" ? "int" : expected] ?? valueError(`Input should be a valid ${expected}`);
}

const integer: Description = { type: "int_type", message: "Input should be a valid integer" };
const dictionary: Description = { type: "dict_type", message: "Input should be a valid dictionary" };
const types: Readonly<Record<string, Description>> = {
  string: { type: "string_type", message: "Input should be a valid string" },
  number: { type: "float_type", message: "Input should be a valid number" },
  int: integer,
  record: dictionary,
  object: dictionary,
  boolean: { type: "value_error", message: "Input should be true or false" },
};

function tooSmall({ origin, minimum, inclusive }: z.core.$ZodIssueTooSmall): Description {
  if (origin === "string") {
    return { type: "string_too_short", message: `String should have at least ${minimum} characters` };
  }
  if (!numbers.has(origin)) return valueError(`Input should have at least ${minimum} entries`);
  if (inclusive === false) return valueError(`Input should be greater than ${minimum}`);
  return { type: "greater_than_equal", message: `Input should be greater than or equal to ${minimum}` };
}

function tooBig({ origin, maximum, inclusive }: z.core.$ZodIssueTooBig): Description {
  if (origin === "string") {
    return { type: "string_too_long", message: `String should have at most ${maximum} characters` };
  }
  if (!numbers.has(origin)) return valueError(`Input should have at most ${maximum} entries`);
  if (inclusive === false) return valueError(`Input should be less than ${maximum}`);
  return { type: "less_than_equal", message: `Input should be less than or equal to ${maximum}` };
}

const numbers: ReadonlySet<string> = new Set(["number", "int", "bigint"]);

/** The schema must describe its pattern in words. */
function wrongFormat({ format }: z.core.$ZodIssueInvalidStringFormat): Description {
  if (format !== "regex") return valueError(`Input should be a valid ${format}`);
  return { type: "string_pattern_mismatch", message: "String should match the pattern in openapi.json" };
}

/** A refinement may set another type: `ctx.addIssue({ code: "custom", params: { type: "enum" }, … })`. */
function typeGiven({ params }: z.core.$ZodIssueCustom): string {
  return typeof params?.type === "string" ? params.type : "value_error";
}

function valueError(message: string): Description {
  return { type: "value_error", message };
}

function valueAt(input: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce(
    (value, part) =>
      typeof value === "object" && value !== null && Object.hasOwn(value, part)
        ? (value as Record<PropertyKey, unknown>)[part]
        : undefined,
    input,
  );
}

function pathPart(part: PropertyKey): string | number {
  return typeof part === "number" ? part : String(part);
}
