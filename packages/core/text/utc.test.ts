import { expect, test } from "vitest";
import { monthBefore, utcMonth, utcText } from "./utc.ts";

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

test("the month of a time follows the calendar through leap years and turns of the year", () => {
  const moments = [];
  for (let day = 0; day < 366 * 140; day += 1) moments.push(day * 86_400_000, (day + 1) * 86_400_000 - 1);

  const wrong = moments.filter((ms) => utcMonth(ms) !== new Date(ms).toISOString().slice(0, 7));

  expect(wrong).toEqual([]);
});

test("the month before January is December of the year before", () => {
  expect(monthBefore("2026-03")).toBe("2026-02");
  expect(monthBefore("2026-11")).toBe("2026-10");
  expect(monthBefore("2026-01")).toBe("2025-12");
});
