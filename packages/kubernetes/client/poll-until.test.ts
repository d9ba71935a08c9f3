import { expect, it } from "vitest";
import { pollUntil } from "./poll-until.ts";

/** Returns a poll that finds something at this attempt. */
function foundAt(attempt: number) {
  let polls = 0;
  return async () => (++polls === attempt ? "found" : undefined);
}

it("polls once more if one poll took longer than the limit", async () => {
  expect(await pollUntil(0, foundAt(2))).toBe("found");
});

it("returns undefined after the limit", async () => {
  expect(await pollUntil(0, foundAt(3))).toBeUndefined();
});

it("polls until it finds something", async () => {
  expect(await pollUntil(60_000, foundAt(4))).toBe("found");
});
