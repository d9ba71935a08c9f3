import { expect, test } from "vitest";
import * as z from "zod";
import { fieldProblems, ownMessagesOnly } from "../request/field-problems.ts";
import { wholeNumber } from "../request/query.ts";
import { formatSentence, textOfFirst } from "./first-field.ts";

/** What is said of an input: one sentence for each bad field. */
function sentences(shape: z.ZodRawShape, input: Record<string, unknown>): string[] {
  const schema = z.object(shape);
  const { issues } = schema.safeParse(input, ownMessagesOnly).error ?? { issues: [] };
  return fieldProblems(issues, "body", schema, input).map(formatSentence);
}

const text = z.string().min(1).max(5);
const count = z.int().min(1).max(3600);

test.each<[string, z.ZodType, unknown, string]>([
  ["missing", text, undefined, "f is required"],
  ["null", text, null, "f is required"],
  ["empty", text, "", "f is required"],
  ["null where nothing must be", text.optional(), null, "f must be a string"],
  ["empty where nothing must be", text.optional(), "", "f must have at least 1 characters"],
  ["a number for a text", text, 1, "f must be a string"],
  ["long", text, "abcdef", "f is too long"],
  ["missing number", count, undefined, "f is required"],
  ["small", count, 0, "f must be between 1 and 3600"],
  ["large, with a default", count.default(120), 3601, "f must be between 1 and 3600"],
  ["large, in a query", wholeNumber(1, 3600).optional(), "3601", "f must be between 1 and 3600"],
  ["no number, in a query", wholeNumber(1, 3600), "x", "f must be an integer"],
  ["missing, in a query", wholeNumber(1, 3600), undefined, "f is required"],
  ["empty, in a query", wholeNumber(1, 3600), "", "f is required"],
  ["vast", count, 1e300, "f must be between 1 and 3600"],
  ["vast, in a query", wholeNumber(1, 3600), "9".repeat(20), "f must be between 1 and 3600"],
  ["vast, without bounds", z.int().default(0), -1e300, "f must be an integer"],
  ["fraction", count, 1.5, "f must be an integer"],
  ["text for a number", z.number().min(1).max(4), "2", "f must be a number"],
  ["fraction out of range", z.number().min(0.5).max(4), 4.5, "f must be between 0.5 and 4"],
  ["only one bound", z.number().min(2), 1, "f must be greater than or equal to 2"],
  ["a bound that is out", z.number().gt(2).max(4), 1, "f must be greater than 2"],
  ["text for a boolean", z.boolean().default(false), "yes", "f must be true or false"],
  ["word", z.enum(["a", "b"]), "c", "f must be one of: a, b"],
  ["missing word", z.enum(["a", "b"], "f must be a or b"), undefined, "f is required"],
  ["word with a text", z.enum(["a", "b"], "f must be a or b"), "c", "f must be a or b"],
  ["list for a map", z.record(z.string(), z.string()), [], "f must be an object"],
  ["text of its own for a bound", z.int().min(1, "f is too small").max(9), 0, "f is too small"],
  ["text of its own for the type", z.string("Say f"), 1, "Say f"],
  ["its own text for a missing field", z.string("Name is required"), undefined, "Name is required"],
  ["two texts of its own", z.string("Say f").min(1, "Name f").regex(/^a/, "Begin with a"), "", "Name f"],
  ["pattern with a text", z.string().min(1).regex(/^a/, "Begin with a"), "b", "Begin with a"],
  ["pattern without a text", z.string().regex(/^a/), "b", "f must match the pattern in openapi.json"],
  ["refinement", z.string().refine(() => false, "Not this one"), "", "Not this one"],
  ["refinement without a text", z.string().refine(() => false), "x", "f is not valid"],
])("%s", (_, schema, value, answer) => {
  expect(sentences({ f: schema }, value === undefined ? {} : { f: value })).toEqual([answer]);
});

test("describes the first bad field in schema order, and an entry of a map by its name", () => {
  const shape = { a: z.string(), env: z.record(z.string(), z.string()), c: z.string() };

  expect(sentences(shape, { c: 1, env: { X: 1 }, a: "x" })).toEqual(["env.X must be a string", "c must be a string"]);
  expect(textOfFirst([], "nothing")).toBe("nothing");
});
