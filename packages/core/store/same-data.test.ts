import { expect, test } from "vitest";
import { sameData } from "./same-data.ts";

test("the order of fields says nothing", () => {
  expect(sameData({ a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ d: 3, c: 2 }], a: 1 })).toBe(true);
});

test("what is undefined is absent, on either side", () => {
  expect(sameData({ a: 1, b: undefined }, { a: 1 })).toBe(true);
  expect(sameData({ a: 1 }, { a: 1, b: undefined })).toBe(true);
});

test("a field that only one of them has makes them differ, whichever it is", () => {
  expect(sameData({ a: 1 }, { a: 1, b: null })).toBe(false);
  expect(sameData({ a: 1, b: null }, { a: 1 })).toBe(false);
  expect(sameData({ a: { b: [1, 2] } }, { a: { b: [1, 2, 3] } })).toBe(false);
});

test("a list is no object with the same fields, and null is neither", () => {
  expect(sameData([1], { 0: 1 })).toBe(false);
  expect(sameData({}, null)).toBe(false);
});

test("a list is the same where each of its places is", () => {
  expect(sameData([1, { a: [2] }], [1, { a: [2] }])).toBe(true);
  expect(sameData([1, 2], [2, 1])).toBe(false);
  expect(sameData([1], [1, 2])).toBe(false);
  expect(sameData([1, 2], [1])).toBe(false);
});
