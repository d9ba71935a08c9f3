import { expect, test } from "vitest";
import { sameData } from "./same-data.ts";

test("ignores the order of fields", () => {
  expect(sameData({ a: 1, b: [{ c: 2, d: 3 }] }, { b: [{ d: 3, c: 2 }], a: 1 })).toBe(true);
});

test("treats undefined as absent on either side", () => {
  expect(sameData({ a: 1, b: undefined }, { a: 1 })).toBe(true);
  expect(sameData({ a: 1 }, { a: 1, b: undefined })).toBe(true);
});

test("a field that only one of them has makes them differ, on either side", () => {
  expect(sameData({ a: 1 }, { a: 1, b: null })).toBe(false);
  expect(sameData({ a: 1, b: null }, { a: 1 })).toBe(false);
  expect(sameData({ a: { b: [1, 2] } }, { a: { b: [1, 2, 3] } })).toBe(false);
});

test("a list differs from an object with the same fields, and null from both", () => {
  expect(sameData([1], { 0: 1 })).toBe(false);
  expect(sameData({}, null)).toBe(false);
});

test("compares lists place by place", () => {
  expect(sameData([1, { a: [2] }], [1, { a: [2] }])).toBe(true);
  expect(sameData([1, 2], [2, 1])).toBe(false);
  expect(sameData([1], [1, 2])).toBe(false);
  expect(sameData([1, 2], [1])).toBe(false);
});
