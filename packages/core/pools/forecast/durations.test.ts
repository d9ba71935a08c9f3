import { describe, expect, test } from "vitest";
import {
  addDurations,
  addRun,
  type Durations,
  drawShare,
  noDurations,
  type Odds,
  oddsFor,
  readDurations,
} from "./workload.ts";

const HOUR = 3_600_000;

function ran(runs: number, owner: string, share: number, before = noDurations): Durations {
  let durations = before;
  for (let n = 0; n < runs; n++) durations = addRun(durations, { owner, tookMs: share * HOUR, wantedMs: HOUR });
  return durations;
}

/** Returns the fractions at a hundred evenly spaced draws. */
function draws(odds: Odds, spent = 0): number[] {
  return Array.from({ length: 100 }, (_, n) => drawShare(odds, n / 100, spent));
}

describe("the fraction of the requested time that a job uses", () => {
  test("is 1 while nothing is known", () => {
    expect(draws(oddsFor(noDurations, "o"))).toEqual(Array.from({ length: 100 }, () => 1));
  });

  test("is drawn as often as it was observed", () => {
    const durations = ran(60, "b", 1.01, ran(40, "a", 0.12));

    const shares = draws(oddsFor(durations, "new"));

    expect(shares.filter((share) => share === 1)).toHaveLength(60);
    expect(shares.filter((share) => share >= 0.1 && share < 0.15)).toHaveLength(40);
  });

  test("counts runs missing to twenty as full-time", () => {
    const shares = draws(oddsFor(ran(5, "a", 0.5), "new"));

    expect(shares.filter((share) => share === 1)).toHaveLength(75);
  });

  test("uses an owner's runs once there are twenty", () => {
    const nineteen = ran(19, "a", 0.3, ran(200, "b", 1));
    const twenty = ran(1, "a", 0.3, nineteen);

    expect(Math.max(...draws(oddsFor(nineteen, "a")))).toBe(1);
    expect(Math.max(...draws(oddsFor(twenty, "a")))).toBeLessThan(0.35);
  });

  test("is more than a running job has already used", () => {
    const durations = ran(30, "b", 1, ran(70, "a", 0.42));
    const odds = oddsFor(durations, "new");

    expect(Math.min(...draws(odds, 0.41))).toBeGreaterThanOrEqual(0.41);
    expect(draws(odds, 0.41).filter((share) => share < 0.45).length).toBeGreaterThan(50);
    expect(draws(odds, 0.46)).toEqual(Array.from({ length: 100 }, () => 1));
    expect(draws(odds, 7)).toEqual(Array.from({ length: 100 }, () => 1));
  });

  test("includes the mean time that capacity is kept beyond the end", () => {
    const durations = ran(200, "a", 1.1);

    expect(durations.overMs).toBeGreaterThan(0.09 * HOUR);
    expect(durations.overMs).toBeLessThanOrEqual(0.1 * HOUR);
  });

  test("fades: old runs count less than recent ones", () => {
    const durations = ran(400, "a", 1, ran(400, "a", 0.1));

    const shares = draws(oddsFor(durations, "a"));

    expect(shares.filter((share) => share === 1).length).toBeGreaterThan(60);
  });
});

test("merges the records of several items", () => {
  const both = addDurations([ran(30, "a", 0.2), ran(90, "b", 1.1)]);

  expect(draws(oddsFor(both, "new")).filter((share) => share === 1)).toHaveLength(75);
  expect(Math.max(...draws(oddsFor(both, "a")))).toBeLessThan(0.25);
  expect(addDurations([]).overMs).toBe(0);
});

test("the largest record has 64 owners and 16 KB, and a new owner replaces the one with the fewest runs", () => {
  let durations = noDurations;
  for (let owner = 0; owner < 100; owner++) {
    const name = `owner#${String(owner).padStart(32, "0")}`;
    for (let step = 0; step <= 20; step++) durations = ran(19, name, step / 20, durations);
  }

  expect(Object.keys(durations.owners)).toHaveLength(64);
  expect(durations.owners).toHaveProperty(`owner#${"99".padStart(32, "0")}`);
  expect(JSON.stringify(durations).length).toBeLessThan(16_384);
  expect(readDurations(JSON.parse(JSON.stringify(durations)))).toEqual(durations);
});

test.each([
  ["nothing", undefined],
  ["a text", "all"],
  ["invalid counts", { all: [-1], overMs: 0, owners: {} }],
  ["an invalid time", { all: [1], overMs: Number.NaN, owners: {} }],
  ["no owners", { all: [1], overMs: 0 }],
])("reads %s as no record", (_, value) => {
  expect(readDurations(value)).toEqual(noDurations);
});

test("does not count an impossible run", () => {
  for (const [tookMs, wantedMs] of [
    [1, 0],
    [-1, 5],
    [Number.NaN, 5],
  ] as const) {
    expect(addRun(noDurations, { owner: "a", tookMs, wantedMs })).toBe(noDurations);
  }
});
