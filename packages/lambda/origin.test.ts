import crypto from "node:crypto";
import { syncBuiltinESMExports } from "node:module";
import { expect, onTestFinished, test, vi } from "vitest";
import { originCheck } from "./origin.ts";

const [newest, oldest] = ["n".repeat(32), "o".repeat(32)];

test("both secrets are valid during a rotation, and nothing else", () => {
  const isFromEdge = originCheck([newest, oldest]);

  expect([newest, oldest].map(isFromEdge)).toEqual([true, true]);
  expect([undefined, "", "n", `${newest}${oldest}`, newest.toUpperCase()].map(isFromEdge)).toEqual(
    Array(5).fill(false),
  );
});

test("without a secret nothing is valid, not even an empty one", () => {
  expect(["", undefined].map(originCheck([]))).toEqual([false, false]);
});

test("a secret is compared with each known one, in constant time", () => {
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
