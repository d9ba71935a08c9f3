import { expect, test } from "vitest";
import { originCheck } from "./origin.ts";

const [newest, oldest] = ["n".repeat(32), "o".repeat(32)];

test("either secret is good while they are rotated, and nothing else", () => {
  const isFromEdge = originCheck([newest, oldest]);

  expect([newest, oldest].map(isFromEdge)).toEqual([true, true]);
  expect([undefined, "", "n", `${newest}${oldest}`, newest.toUpperCase()].map(isFromEdge)).toEqual(
    Array(5).fill(false),
  );
});

test("without a secret nothing is good, an empty one least of all", () => {
  expect(["", undefined].map(originCheck([]))).toEqual([false, false]);
});
