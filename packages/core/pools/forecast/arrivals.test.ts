import { expect, test } from "vitest";
import { seededRandom } from "#tests/fixtures/random.ts";
import { type Arrival, addArrivals, drawArrivals, readArrivals, toStored } from "./workload.ts";

const NOW = Date.UTC(2026, 0, 20, 18);
const MINUTE = 60_000;

function came(minutesAgo: number, owner = "o", units = 1): Arrival {
  return { at: NOW - minutesAgo * MINUTE, owner, zone: null, size: { machines: 1, units, wantedMs: 60 * MINUTE } };
}

test("draws arrivals that resemble the last ones, at their rate", () => {
  const lately = Array.from({ length: 40 }, (_, n) => came(10 * (40 - n), n % 4 ? "often" : "rare", n % 4 ? 1 : 8));

  const drawn = drawArrivals(lately, NOW, seededRandom(1));

  const day = drawn.filter(({ at }) => at <= NOW + 24 * 60 * MINUTE);
  expect(day.length).toBeGreaterThan(110);
  expect(day.length).toBeLessThan(180);
  expect(drawn.every(({ at }, n) => at > (drawn[n - 1]?.at ?? NOW))).toBe(true);
  const rare = drawn.filter(({ owner }) => owner === "rare");
  expect(rare.every(({ size }) => size.units === 8)).toBe(true);
  expect(rare.length / drawn.length).toBeCloseTo(0.25, 1);
});

test("expects no arrivals after fewer than five, or after five at the same time", () => {
  expect(
    drawArrivals(
      [4, 3, 2, 1].map((n) => came(n)),
      NOW,
      seededRandom(1),
    ),
  ).toEqual([]);
  expect(
    drawArrivals(
      [0, 0, 0, 0, 0].map((n) => came(n)),
      NOW,
      seededRandom(1),
    ),
  ).toEqual([]);
});

test("expects fewer arrivals the longer none came", () => {
  const lately = [9, 8, 7, 6, 5].map((n) => came(n));

  const [soon] = drawArrivals(lately, NOW, seededRandom(1));
  const [late] = drawArrivals(lately, NOW + 600 * MINUTE, seededRandom(1));

  expect((late?.at ?? 0) - NOW - 600 * MINUTE).toBeGreaterThan(20 * ((soon?.at ?? 0) - NOW));
});

test("the largest record has the last hundred arrivals and is below 16 KB", () => {
  const name = (n: number) => `owner#${String(n).padStart(32, "0")}`;
  const many = Array.from({ length: 300 }, (_, n) => ({ ...came(300 - n, name(n)), zone: "eu-central-1-lhr-1a" }));

  const arrivals = addArrivals(addArrivals([], many.slice(0, 200)), many.slice(200));

  expect(arrivals).toEqual(many.slice(200));
  expect(JSON.stringify(toStored(arrivals)).length).toBeLessThan(16_384);
  expect(readArrivals(JSON.parse(JSON.stringify(toStored(arrivals))))).toEqual(arrivals);
});

test("reads invalid arrivals as none", () => {
  expect(readArrivals({})).toEqual([]);
  expect(readArrivals([null, [NOW, "o", null, 1, 0, 1], ["now", "o", null, 1, 1, 1], [NOW, "o", 7, 1, 1, 1]])).toEqual(
    [],
  );
});
