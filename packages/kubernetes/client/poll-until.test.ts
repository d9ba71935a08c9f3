import { expect, it } from "vitest";
import { pollUntil } from "./poll-until.ts";

/** Finds it at the look that is named. */
function foundAt(which: number) {
  let passes = 0;
  return async () => (++passes === which ? "found" : undefined);
}

it("looks once more where one look took longer than the time", async () => {
  expect(await pollUntil(0, foundAt(2))).toBe("found");
});

it("ends with nothing once the time is over", async () => {
  expect(await pollUntil(0, foundAt(3))).toBeUndefined();
});

it("goes on looking until then", async () => {
  expect(await pollUntil(60_000, foundAt(4))).toBe("found");
});
