import fc from "fast-check";
import { expect, test } from "vitest";
import { uid } from "./shape.ts";

const form = /^[0-9a-f]{32}$/;
const hex = fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: 30, maxLength: 34 });

test("a uid is 32 lower-case hex digits and nothing else", () => {
  fc.assert(
    fc.property(fc.oneof(hex, fc.string({ unit: "binary", minLength: 30, maxLength: 34 })), (text) => {
      expect(uid(text)).toBe(form.test(text));
    }),
  );
});

test.each([
  `${"a".repeat(31)}/`,
  `${"a".repeat(31)}:`,
  `${"a".repeat(31)}g`,
  `${"a".repeat(31)}\``,
  `${"a".repeat(31)}F`,
  `${"a".repeat(31)}\n`,
  `${"a".repeat(32)}\n`,
  `${"a".repeat(31)}\u0661`,
  "",
  null,
  undefined,
  32,
  ["a".repeat(32)],
])("%j is not a uid", (value) => {
  expect(uid(value)).toBe(false);
});
