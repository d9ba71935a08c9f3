import { expect, test } from "vitest";
import { sharedReads } from "./shared-reads.ts";

test.each([
  ["a name that may be a key", 1_999, 1],
  ["a name that is longer than any key", 2_001, 2],
])("of two reads of %s, only a long one is made again", async (_, length, expected) => {
  let count = 0;
  const reads = sharedReads({ monotonic: () => 0 }, async () => {
    count += 1;
  });

  await reads.read("x".repeat(length), 1_000);
  await reads.read("x".repeat(length), 1_000);

  expect(count).toBe(expected);
});
