import { expect, test } from "vitest";
import { goDuration, wholeSeconds } from "./timestamp.ts";

test("a timestamp has whole seconds and a Z", () => {
  expect(wholeSeconds(Date.UTC(2026, 0, 20, 18, 30, 0, 999))).toBe("2026-01-20T18:30:00Z");
});

test.each([
  [0, "0s"],
  [-5, "0s"],
  [59.9, "59s"],
  [60, "1m0s"],
  [3600, "1h0m0s"],
  [9015, "2h30m15s"],
  [360_000, "100h0m0s"],
])("%s seconds are %s", (seconds, text) => {
  expect(goDuration(seconds)).toBe(text);
});
