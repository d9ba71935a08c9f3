import { expect, test } from "vitest";
import { formatMonth, monthBefore } from "./month.ts";

test("monthOf follows the UTC calendar through leap years and turns of the year", () => {
  const moments = [];
  for (let day = 0; day < 366 * 140; day += 1) moments.push(day * 86_400_000, (day + 1) * 86_400_000 - 1);

  const wrong = moments.filter((ms) => formatMonth(ms) !== new Date(ms).toISOString().slice(0, 7));

  expect(wrong).toEqual([]);
});

test("the month before January is December of the year before", () => {
  expect(monthBefore("2026-03")).toBe("2026-02");
  expect(monthBefore("2026-11")).toBe("2026-10");
  expect(monthBefore("2026-01")).toBe("2025-12");
});
