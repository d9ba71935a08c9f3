import { constants, setPriority } from "node:os";
import { expect, test } from "vitest";
import { simulatePopulation } from "./population.ts";

// It only computes: whoever beside it measures time shall have the processor first.
setPriority(constants.priority.PRIORITY_LOW);

test("40 people for a virtual day: nobody is passed over, nothing is granted late, lost or kept", {
  timeout: 600_000,
}, async () => {
  const { violations, figures, bad } = await simulatePopulation(1, { people: 40, days: 1 });

  expect(violations).toEqual([]);
  expect(bad.length).toBeGreaterThan(0);
  // What it judges was there to be judged.
  const { waits, granting, taking, estimates, gpuHours } = figures;
  expect(figures.environments).toBeGreaterThan(150);
  expect(figures.mostWaiting).toBeGreaterThan(100);
  expect(Math.min(waits.light.count(), waits.first.count())).toBeGreaterThan(10);
  expect(Math.min(waits.heavy.count(), granting.count(), taking.count(), estimates.count())).toBeGreaterThan(50);
  expect(gpuHours.used).toBeGreaterThan(100);
});

test("a population replays to the call", { timeout: 600_000 }, async () => {
  const [one, two] = await Promise.all([1, 2].map(() => simulatePopulation(7, { people: 12, days: 0.3 })));

  expect(one?.calls).toBeGreaterThan(1_000);
  expect(two?.calls).toBe(one?.calls);
});
