import { expect, test } from "vitest";
import { utcText } from "./utc.ts";

test("formats a time like the platform in every month, leap year and century", () => {
  const day = 24 * 3_600_000;

  for (let ms = 0; ms < Date.UTC(2110, 0, 1); ms += 13.7 * day) {
    const expected = `${new Date(ms).toISOString().slice(0, 16).replace("T", " ")} UTC`;
    expect(utcText(ms)).toBe(expected);
  }
});

test("the last minute of a leap day belongs to that day", () => {
  expect(utcText(Date.UTC(2028, 1, 29, 23, 59, 59))).toBe("2028-02-29 23:59 UTC");
});
