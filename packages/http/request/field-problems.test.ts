import { expect, test } from "vitest";
import * as z from "zod";
import { type FieldLocation, fieldProblems, ownMessagesOnly } from "./field-problems.ts";
import { wholeNumber } from "./query.ts";

/** What is wrong with an input, as type, place and message. */
function listProblems(shape: z.ZodRawShape | z.ZodType, input: Record<string, unknown>, place: FieldLocation = "body") {
  const schema = shape instanceof z.ZodType ? shape : z.object(shape);
  const parsed = schema.safeParse(input, ownMessagesOnly);
  return fieldProblems(parsed.error?.issues ?? [], place, schema, input).map(
    ({ type, path, message }) => `${type} ${path.join(".")}: ${message}`,
  );
}

test.each<[string, z.ZodType, unknown, string]>([
  ["missing", z.string(), undefined, "missing body.f: Field required"],
  ["null for a text", z.string(), null, "string_type body.f: Input should be a valid string"],
  ["number for a text", z.string().optional(), 1, "string_type body.f: Input should be a valid string"],
  ["text for a number", z.number(), "1", "float_type body.f: Input should be a valid number"],
  ["infinity", z.number(), JSON.parse("1e999"), "float_type body.f: Input should be a valid number"],
  ["text for an integer", z.int(), "x", "int_type body.f: Input should be a valid integer"],
  ["fraction for an integer", z.int(), 1.5, "int_type body.f: Input should be a valid integer"],
  ["fraction, older spelling", z.number().int(), 1.5, "int_type body.f: Input should be a valid integer"],
  ["text, older spelling", z.number().int().default(1), "x", "int_type body.f: Input should be a valid integer"],
  ["text for null or integer", z.int().nullable(), "x", "int_type body.f: Input should be a valid integer"],
  ["list for a map", z.record(z.string(), z.string()), [], "dict_type body.f: Input should be a valid dictionary"],
  ["text for an object", z.object({}), "x", "dict_type body.f: Input should be a valid dictionary"],
  ["number for a boolean", z.boolean(), 1, "value_error body.f: Input should be true or false"],
  ["short", z.string().min(3), "ab", "string_too_short body.f: String should have at least 3 characters"],
  ["long", z.string().max(2), "abc", "string_too_long body.f: String should have at most 2 characters"],
  [
    "pattern",
    z.string().regex(/^a\/b$/i),
    "x",
    "string_pattern_mismatch body.f: String should match the pattern in openapi.json",
  ],
  ["pattern with a text", z.string().regex(/^a$/, "Say a"), "x", "string_pattern_mismatch body.f: Say a"],
  ["small", z.number().min(0.083), 0.01, "greater_than_equal body.f: Input should be greater than or equal to 0.083"],
  ["large", z.int().max(500), 501, "less_than_equal body.f: Input should be less than or equal to 500"],
  ["vast", z.int().min(10).max(500), 1e300, "less_than_equal body.f: Input should be less than or equal to 500"],
  ["tiny", z.int().min(10).max(500), -1e300, "greater_than_equal body.f: Input should be greater than or equal to 10"],
  [
    "vast, may be null",
    z.int().max(8).nullish(),
    2 ** 53,
    "less_than_equal body.f: Input should be less than or equal to 8",
  ],
  [
    "vast, with a default",
    z.int().max(8).default(1),
    1e20,
    "less_than_equal body.f: Input should be less than or equal to 8",
  ],
  ["vast, without bounds", z.int(), 1e300, "int_type body.f: Input should be a valid integer"],
  ["tiny, with an upper bound", z.int().max(8), -1e300, "int_type body.f: Input should be a valid integer"],
  [
    "vast, in a query",
    wholeNumber(1, 500),
    "9".repeat(20),
    "less_than_equal body.f: Input should be less than or equal to 500",
  ],
  [
    "vast, where that is the bound",
    wholeNumber(0),
    "9".repeat(20),
    "less_than_equal body.f: Input should be less than or equal to 9007199254740991",
  ],
  ["not positive", z.number().positive(), 0, "value_error body.f: Input should be greater than 0"],
  ["word", z.enum(["a", "b", "c"]), "d", "enum body.f: Input should be one of: a, b, c"],
  ["number for a word", z.enum(["a", "b"]), 1, "enum body.f: Input should be one of: a, b"],
  ["literal", z.literal([1, 2]), 3, "enum body.f: Input should be one of: 1, 2"],
  ["refinement", z.string().refine(() => false, "Not yet"), "x", "value_error body.f: Not yet"],
  ["refinement, no text", z.string().refine(() => false), "x", "value_error body.f: Input is not valid"],
  ["union", z.union([z.string(), z.null()]), 1, "string_type body.f: Input should be a valid string"],
  ["union with a text", z.union([z.string(), z.null()], "Text or null"), 1, "value_error body.f: Text or null"],
  ["many entries", z.array(z.string()).max(1), ["a", "b"], "value_error body.f: Input should have at most 1 entries"],
  ["multiple", z.number().multipleOf(2), 3, "value_error body.f: Input should be a multiple of 2"],
  ["address", z.url(), "x", "value_error body.f: Input should be a valid url"],
])("%s", (_, schema, value, answer) => {
  expect(listProblems({ f: schema }, value === undefined ? {} : { f: value })).toEqual([answer]);
});

test("a refinement may name its type", () => {
  const words = z.string().superRefine((_, ctx) => {
    ctx.addIssue({ code: "custom", params: { type: "enum" }, message: "Input should be one of: a, b" });
  });

  expect(listProblems({ status: words }, { status: "x" }, "query")).toEqual([
    "enum query.status: Input should be one of: a, b",
  ]);
});

test("reports one fault of each bad field in schema order", () => {
  const shape = { a: z.string().min(2).regex(/^x/), b: z.int(), c: z.string() };

  expect(listProblems(shape, { c: 1, b: 1.5, a: "y" })).toEqual([
    "string_too_short body.a: String should have at least 2 characters",
    "int_type body.b: Input should be a valid integer",
    "string_type body.c: Input should be a valid string",
  ]);
});

test("names and values of a map have separate locations", () => {
  const env_vars = z.record(z.string().regex(/^[A-Z]+$/, "Bad name"), z.string());

  expect(listProblems({ env_vars }, { env_vars: { lower: "1", GOOD: "1", BAD: 2 } })).toEqual([
    "string_pattern_mismatch body.env_vars.lower: Bad name",
    "string_type body.env_vars.BAD: Input should be a valid string",
  ]);
});

test("a fault of the whole body is located at the body", () => {
  const schema = z.object({ a: z.string().optional() }).refine(({ a }) => a !== undefined, "One form is needed");

  expect(listProblems(schema, {})).toEqual(["value_error body: One form is needed"]);
});

test("the input of a missing field is the whole body, and of an invalid field its value", () => {
  const schema = z.object({ a: z.string(), b: z.string() });
  const input = { b: 1 };
  const { issues } = schema.safeParse(input, ownMessagesOnly).error ?? { issues: [] };

  const inputs = fieldProblems(issues, "body", schema, input).map((problem) => problem.input);

  expect(inputs).toEqual([{ b: 1 }, 1]);
});
