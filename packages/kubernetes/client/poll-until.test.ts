import { expect, it } from "vitest";
import { pollUntil } from "./poll-until.ts";

/** Finds it at the given poll. */
function foundAt(which: number) {
  let passes = 0;
  return async () => (++passes === which ? "found" : undefined);
}

it("polls once more if one poll took longer than the limit", async () => {
  expect(await pollUntil(0, foundAt(2))).toBe("found");
});

it("returns undefined after the limit", async () => {
  expect(await pollUntil(0, foundAt(3))).toBeUndefined();
});

it("polls repeatedly until then", async () => {
  expect(await pollUntil(60_000, foundAt(4))).toBe("found");
});
