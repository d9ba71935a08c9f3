import fc from "fast-check";
import { expect, test } from "vitest";
import { appendLog, countLines, createLogSearch, type LogBlock } from "./log-blocks.ts";

const append = (pieces: readonly string[], keptCharacters: number) =>
  pieces.reduce<readonly LogBlock[]>((blocks, piece) => appendLog(blocks, piece, keptCharacters), []);

const join = (blocks: readonly LogBlock[]) => blocks.map(({ text }) => text).join("");

const countedLines = (count: number, first = 0) =>
  Array.from({ length: count }, (_, n) => `line ${first + n}\n`).join("");

test("a log in any pieces is divided like the whole log, and loses nothing", () => {
  const piece = fc.string({ unit: fc.constantFrom("a", "b", "\n"), maxLength: 2_000, size: "max" });
  fc.assert(
    fc.property(fc.array(piece), (pieces) => {
      const text = pieces.join("");
      const blocks = append(pieces, 1e6);

      expect(blocks).toEqual(append([text], 1e6));
      expect(join(blocks)).toBe(text);
      expect(countLines(blocks)).toBe(text.split("\n").length - (text === "" || text.endsWith("\n") ? 1 : 0));
    }),
  );
});

test("a log that is too long loses whole blocks from its start, and the others stay the same", () => {
  const before = append([countedLines(2_000)], 17_900);
  const after = appendLog(before, countedLines(1_000, 2_000), 17_900);

  expect(before.map(({ number, lineCount }) => [number, lineCount])).toEqual([
    [1, 400],
    [2, 400],
    [3, 400],
    [4, 400],
  ]);
  expect(after.map(({ number }) => number)).toEqual([4, 5, 6, 7]);
  expect(after[0]).toBe(before[3]);
  expect(join(after)).toMatch(/^line 1600\n/);
});

test("only a line that is longer than the limit is cut", () => {
  const blocks = append(["a line\n", "x".repeat(150_000), "x".repeat(150_000), "y"], 200_000);

  expect(join(blocks)).toBe(`${"x".repeat(199_999)}y`);
  expect(countLines(blocks)).toBe(1);
});

test("a search keeps the lines with the text, and the numbers of their blocks", () => {
  const blocks = append([countedLines(2_000)], 1e6);

  expect(createLogSearch("LINE 999")(blocks)).toEqual([{ number: 2, text: "line 999\n", lineCount: 1 }]);
  expect(createLogSearch("none")(blocks)).toEqual([]);
});

test("a search of a log that grows finds the same as a search of the whole log", () => {
  const search = createLogSearch("9");
  const before = append([countedLines(500)], 1e6);
  const after = appendLog(before, countedLines(500, 500), 1e6);
  search(before);

  expect(search(after)).toEqual(createLogSearch("9")(after));
  expect(search(after)[0]).toBe(search(before)[0]);
});
