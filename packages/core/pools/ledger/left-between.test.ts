import { expect, test } from "vitest";
import { leftBetween } from "./run-outcomes.ts";

const listFor = (ids: string) => [...ids].map((id) => ({ id }));

test.each([
  ["abcd", "abcd", ""],
  ["abcd", "abcdef", ""],
  ["abcd", "bd", "ac"],
  ["abcd", "", "abcd"],
  ["", "ab", ""],
  ["abcd", "dcba", ""],
  ["abcd", "xda", "bc"],
  ["abcd", "acxb", "d"],
])("from %o to %o the entries %o have left, in any order", (before, after, left) => {
  expect(leftBetween(listFor(before), listFor(after))).toEqual(listFor(left));
});

test("compares no ids of identical objects, which are nearly all of a large pool", () => {
  let reads = 0;
  const before = [..."abcd"].map((id) => ({
    get id() {
      reads += 1;
      return id;
    },
  }));

  const left = leftBetween(before, [...before]);

  expect([left, reads]).toEqual([[], 0]);
});
