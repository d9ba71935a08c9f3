import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { expect, onTestFinished, test, vi } from "vitest";
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

test("what is given is compared with every secret, in a time that does not depend on where they differ", () => {
  const compare = vi.spyOn(crypto, "timingSafeEqual");
  syncBuiltinESMExports();
  onTestFinished(() => {
    compare.mockRestore();
    syncBuiltinESMExports();
  });
  const isFromEdge = originCheck([newest, oldest]);

  for (const text of [newest, `${newest.slice(1)}x`, "n", undefined]) isFromEdge(text);

  expect(compare.mock.calls.map((both) => both.map(({ byteLength }) => byteLength))).toEqual(Array(8).fill([32, 32]));
});
