import { expect, it } from "vitest";
import { lookWithin } from "./look-within.ts";

/** Finds it at the look that is named. */
function foundAt(which: number) {
  let looks = 0;
  return async () => (++looks === which ? "found" : undefined);
}

it("looks once more where one look took longer than the time", async () => {
  expect(await lookWithin(0, foundAt(2))).toBe("found");
});

it("ends with nothing once the time is over", async () => {
  expect(await lookWithin(0, foundAt(3))).toBeUndefined();
});

it("goes on looking until then", async () => {
  expect(await lookWithin(60_000, foundAt(4))).toBe("found");
});
