import { constants, setPriority } from "node:os";
import { expect, test } from "vitest";
import { runSchedules } from "./campaign.ts";

/** Second half of the 500 schedules of every test run. `.ci/run` runs 4,000. */
const FROM = 251;
const COUNT = 250;

// Lowers the priority, so tests that measure time get the processor first.
setPriority(constants.priority.PRIORITY_LOW);

test(`${COUNT} schedules of faults from seed ${FROM} violate nothing`, { timeout: 1_200_000 }, async () => {
  const { schedules, failed } = await runSchedules({ from: FROM, count: COUNT });

  const reports = failed.slice(0, 5).map(({ seed, violations }) => `seed ${seed}: ${violations[0]}`);
  expect(reports).toEqual([]);
  expect(schedules).toBe(COUNT);
});
