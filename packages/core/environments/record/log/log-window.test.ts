import { expect, test } from "vitest";
import { partOfWindow } from "../../verbs/log-source.ts";

const getBytes = (text: string) => new TextEncoder().encode(text);
/** Options for reading at most this many bytes of a window that continues. */
const options = (after: number, mostBytes = 10) => ({ after, mostBytes, isComplete: false });

test("a part of a window contains whole characters, wherever it is cut", () => {
  const text = "aé€💥z";
  const window = { start: 100, bytes: getBytes(text) };
  for (let most = 4; most < 12; most++) {
    let [after, result] = [100, ""];
    while (after < 100 + window.bytes.length) {
      const part = partOfWindow(window, options(after, most));
      expect(part.start).toBe(after);
      expect(part.bytes.length).toBeGreaterThan(0);
      result += new TextDecoder("utf-8", { fatal: true }).decode(part.bytes);
      after = part.start + part.bytes.length;
    }
    expect(result).toBe(text);
  }
});

test("a position before the window counts as its start, and one after it as its end", () => {
  const window = { start: 100, bytes: getBytes("é!") };

  expect(partOfWindow(window, options(3))).toEqual({ start: 100, bytes: getBytes("é!") });
  expect(partOfWindow(window, options(999))).toEqual({ start: 103, bytes: getBytes("") });
});

test.each([
  ["é", 1],
  ["€", 2],
  ["💥", 3],
])("the first bytes of %s are held back until the others arrive or the log ends", (character, most) => {
  const all = getBytes(`a${character}`);
  for (let half = 1; half <= most; half++) {
    const window = { start: 7, bytes: all.subarray(0, 1 + half) };
    expect(partOfWindow(window, options(7))).toEqual({ start: 7, bytes: getBytes("a") });
    expect(partOfWindow(window, { ...options(7), isComplete: true }).bytes).toEqual(window.bytes);
  }
  expect(partOfWindow({ start: 7, bytes: all }, options(7)).bytes).toEqual(all);
});

test.each([
  ["bytes that begin no character", [0x80, 0xbf, 0x80]],
  ["a byte that UTF-8 does not have", [0xff]],
  ["a first byte followed by the start of another character", [0xe2, 0x41]],
])("%s are read unchanged, and only once", (_, bytes) => {
  const window = { start: 0, bytes: Uint8Array.from([0x61, ...bytes]) };

  expect(partOfWindow(window, options(0)).bytes).toEqual(window.bytes);
  expect(partOfWindow(window, options(1)).bytes).toEqual(Uint8Array.from(bytes));
});

test("the rest of a character is dropped if its beginning is no longer kept", () => {
  const window = { start: 50, bytes: getBytes("💥!").subarray(1) };

  expect(partOfWindow(window, options(9))).toEqual({ start: 53, bytes: getBytes("!") });
});
