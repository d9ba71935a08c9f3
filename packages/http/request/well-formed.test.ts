import { expect, test } from "vitest";
import { brokenTextIn } from "./read-input.ts";

test.each<[unknown, readonly (string | number)[] | undefined]>([
  ["fine 💥", undefined],
  [{ a: [1, null, { b: "Zoë" }] }, undefined],
  [{ a: ["x", "y\0"] }, ["a", 1]],
  [{ a: { b: "\ud83d" } }, ["a", "b"]],
  [{ a: { "b\0": 1 } }, ["a"]],
])("malformed text in %j is found", (value, place) => {
  expect(brokenTextIn(value)).toEqual(place);
});
