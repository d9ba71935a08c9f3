import { expect, test } from "vitest";
import { newestLines } from "./log-lines.ts";

test.each([
  ["", 1, "", false],
  ["\n", 1, "\n", false],
  ["a", 1, "a", false],
  ["a\n", 1, "a\n", false],
  ["a\nb", 1, "b", true],
  ["a\nb\n", 1, "b\n", true],
  ["a\nb\n", 2, "a\nb\n", false],
  ["\nb", 1, "b", true],
  ["\nb", 2, "\nb", false],
  ["a\n\n\n", 2, "\n\n", true],
  ["a\nb\nc\n", 2, "b\nc\n", true],
  ["a\r\nb\r\n", 1, "b\r\n", true],
])("the text %j has as its newest %i lines %j", (text, lines, newest, isCut) => {
  expect(newestLines(text, lines)).toEqual({ text: newest, isCut });
});

test("a MiB of characters that JSON escapes is cut to fit into an answer", () => {
  const { text, isCut } = newestLines("\0".repeat(1024 * 1024), 200);

  expect(isCut).toBe(true);
  expect(text.length).toBe(512 * 1024);
  expect(JSON.stringify(JSON.stringify({ logs: text })).length).toBeLessThan(6_000_000);
});

test("a cut text does not start with half a character", () => {
  const { text } = newestLines(`${"\0".repeat(1_100_000)}${"😀".repeat(101)}`, 1);

  expect(text.isWellFormed()).toBe(true);
});
