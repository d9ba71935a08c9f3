import { expect, test } from "vitest";
import { partOfWindow, startOfNewer } from "./log-window.ts";

const bytesOf = (text: string) => new TextEncoder().encode(text);
const lines = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => `line ${from + n}\n`).join("");

test.each([
  ["the same bytes", lines(0, 2_000), lines(0, 2_000), 0],
  ["more bytes", lines(0, 2_000), lines(0, 2_001), 0],
  ["bytes that begin later", lines(0, 2_000), lines(1_000, 3_000), lines(0, 1_000).length],
  ["bytes whose overlap is a few lines", lines(0, 2_000), lines(1_995, 9_000), lines(0, 1_995).length],
  ["bytes that do not overlap", lines(0, 100), lines(200, 300), lines(0, 100).length + 1],
  ["a progress bar", "1%\r2%\r3%\r", "2%\r3%\r4%\r", 3],
])("the start of newer output is found in %s", (_, older, newer, start) => {
  expect(startOfNewer({ start: 7, bytes: bytesOf(older) }, bytesOf(newer))).toBe(7 + start);
});

test.each([
  ["of which much is new", "a".repeat(1_000_000), `${"a".repeat(900_000)}b`, 100_000],
  ["whose older part ends otherwise", `${"ab".repeat(1_000)}xx`, "ab".repeat(1_000), 2_003],
  ["that is shorter than its older part", "ab".repeat(1_000), "abab", 1_996],
])("the start of output that repeats itself and %s is found exactly", (_, older, newer, start) => {
  expect(startOfNewer({ start: 0, bytes: bytesOf(older) }, bytesOf(newer))).toBe(start);
});

test("output that repeats itself takes no longer than other output of the same length", () => {
  const size = 1_048_576;
  const bytes = (text: string) => bytesOf(text.repeat(Math.ceil(size / text.length))).subarray(0, size);
  const fastestOf = (older: Uint8Array, newer: Uint8Array) => {
    const times = ["once", "twice", "again"].map(() => {
      const from = performance.now();
      startOfNewer({ start: 0, bytes: older }, newer);
      return performance.now() - from;
    });
    return Math.min(...times);
  };
  const hostile = bytes("a");
  const changed = hostile.with(size - 1, 98);

  expect(fastestOf(changed, hostile) / fastestOf(bytes("x"), bytes("y"))).toBeLessThan(20);
});

test("a part of a window holds whole characters, wherever it is cut", () => {
  const text = "aé€💥z";
  const window = { start: 100, bytes: bytesOf(text) };
  for (let most = 4; most < 12; most++) {
    let [after, read] = [100, ""];
    while (after < 100 + window.bytes.length) {
      const part = partOfWindow(window, after, most);
      expect(part.start).toBe(after);
      expect(part.bytes.length).toBeGreaterThan(0);
      read += new TextDecoder("utf-8", { fatal: true }).decode(part.bytes);
      after = part.start + part.bytes.length;
    }
    expect(read).toBe(text);
  }
});

test("a position before the window is its start, one behind it is its end, and one in a character the next one", () => {
  const window = { start: 100, bytes: bytesOf("é!") };

  expect(partOfWindow(window, 3, 10)).toEqual({ start: 100, bytes: bytesOf("é!") });
  expect(partOfWindow(window, 999, 10)).toEqual({ start: 103, bytes: bytesOf("") });
  expect(partOfWindow(window, 101, 10)).toEqual({ start: 102, bytes: bytesOf("!") });
});
