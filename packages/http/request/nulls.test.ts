import { expect, test } from "vitest";
import * as z from "zod";
import { withoutNulls } from "./read-input.ts";

const Nested = z.object({ seconds: z.int().default(5), name: z.string() });

const Body = z
  .object({
    name: z.string(),
    either: z.string().nullable(),
    size: z.int().default(100),
    word: z.enum(["a", "b"]).optional(),
    url: z
      .string()
      .nullish()
      .transform((text) => text ?? ""),
    number: z.preprocess((value) => value, z.string().optional()),
    nested: Nested.optional(),
    needed: Nested,
    env: z.record(z.string(), z.string()).default({}),
    keys: z.array(z.string()).optional(),
  })
  .superRefine(() => undefined);

test("optional fields that are null are removed, however their schema is wrapped", () => {
  const input = { size: null, word: null, url: null, number: null, nested: null, env: null, keys: null };

  expect(withoutNulls(Body, input)).toEqual({});
});

test("null stays for required fields, in maps and lists, and under unknown names", () => {
  const input = { name: null, either: null, needed: null, env: { A: null }, keys: [null], other: null };

  expect(withoutNulls(Body, input)).toEqual(input);
});

test("fields of nested objects follow the same rule", () => {
  const nested = { seconds: null, name: null };

  expect(withoutNulls(Body, { nested, needed: nested })).toEqual({ nested: { name: null }, needed: { name: null } });
});

test("other values pass unchanged, and a field named __proto__ stays a field", () => {
  const input = JSON.parse('{"__proto__":{"size":null},"name":"a","nested":[null],"keys":[]}');

  expect(JSON.stringify(withoutNulls(Body, input))).toBe(JSON.stringify(input));
  for (const value of [undefined, null, "text", 1, [null]]) expect(withoutNulls(Body, value)).toEqual(value);
});
