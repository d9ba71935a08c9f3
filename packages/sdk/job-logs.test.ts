import fc from "fast-check";
import { expect, test } from "vitest";
import { newText } from "./job-logs.ts";

test("a log that is read in pieces from a growing end is whole", () => {
  const text = fc.string({ unit: fc.constantFrom("a", "b", "\r", "\n", "é", "🚀"), minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(fc.array(text), (pieces) => {
      let log = "";
      let shown = "";
      let printed = "";
      for (const piece of pieces) {
        log += piece;
        printed += newText(shown, log);
        shown = log;
      }
      expect(printed).toBe(log);
    }),
  );
});

test("a log that lost its beginning goes on behind what was shown", () => {
  const lines = Array.from({ length: 400 }, (_, at) => `line ${at}\n`);

  expect(newText(lines.slice(0, 300).join(""), lines.slice(100).join(""))).toBe(lines.slice(300).join(""));
});

test("a log that shares nothing with what was shown says that some is missing", () => {
  expect(newText("line 1\n", "line 2\n")).toBe("\n[some output was not read in time]\nline 2\n");
});
