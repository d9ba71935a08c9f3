import { expect, test } from "vitest";
import { manualClock } from "#tests/fixtures/clock.ts";
import { pacedTask } from "./paced-task.ts";

interface Options {
  readonly succeeds?: boolean;
  /** Number of first runs that receive a hundred requests each. */
  readonly requested?: number;
}

/** Task of this duration. `begun` has the start of each run, ms. */
function openTask(durationMs: number, { succeeds = true, requested = 1 }: Options = {}) {
  const clock = manualClock();
  const ending = new AbortController();
  const begun: number[] = [];
  const task = pacedTask({ clock, signal: ending.signal }, async () => {
    begun.push(clock.monotonic());
    if (begun.length <= requested) for (let requests = 0; requests < 100; requests += 1) task.request();
    clock.advance(durationMs);
    return succeeds;
  });
  return { clock, ending, begun, task };
}

test.each([
  ["a second", 0, 1_000],
  ["three times its duration", 2_000, 8_000],
  ["at most half a minute", 20_000, 50_000],
])("requests during a run share one more run, after a rest of %s", async (_, durationMs, secondAt) => {
  const { begun, task } = openTask(durationMs);

  task.request();
  await task.settled();

  expect(begun).toEqual([0, secondAt]);
});

test("rests half a minute after a failed run", async () => {
  const { begun, task } = openTask(0, { succeeds: false });

  task.request();
  await task.settled();

  expect(begun).toEqual([0, 30_000]);
});

test("rests a second while requests keep coming", async () => {
  const { begun, task } = openTask(100, { requested: 6 });

  task.request();
  await task.settled();

  expect(begun).toEqual([0, 1_100, 2_200, 3_300, 4_400, 5_500, 6_600]);
});

test("runs at once after its rest", async () => {
  const { clock, begun, task } = openTask(0);
  task.request();
  await task.settled();

  clock.advance(5_000);
  task.request();
  await task.settled();

  expect(begun).toEqual([0, 1_000, 6_000]);
});

test("begins no run after the signal", async () => {
  const { ending, begun, task } = openTask(0);
  task.request();
  ending.abort();
  await task.settled();

  task.request();
  await task.settled();

  expect(begun).toEqual([0]);
});
