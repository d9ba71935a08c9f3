import { constants, setPriority } from "node:os";
import { expect, test } from "vitest";
import { simulatePopulation } from "./population/population.ts";

// Lowers the priority, so tests that measure time get the processor first.
setPriority(constants.priority.PRIORITY_LOW);

// `.ci/run` simulates 120 users for two days, and fails if the figures are too few to judge.
test("12 users for half a virtual day lose nothing and leave nothing late, and the run replays exactly", {
  timeout: 600_000,
}, async () => {
  const [report, two] = await Promise.all([1, 2].map(() => simulatePopulation(1, { people: 12, days: 0.5 })));

  expect(report?.violations).toEqual([]);
  expect(report?.bad.length).toBeGreaterThan(0);
  expect(report?.figures.environments).toBeGreaterThan(150);
  expect(report?.figures.mostWaiting).toBeGreaterThan(100);
  expect(two?.calls).toBe(report?.calls);
});
