import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runSchedules } from "./campaign.ts";
import { copyCore } from "./planted/plant.ts";
import { plantedBugs } from "./planted/planted.ts";
import { simulate } from "./schedule.ts";

const core = join(import.meta.dirname, "../../packages/core");

test("a seed replays exactly", async () => {
  const first: string[] = [];
  const second: string[] = [];

  const report = await simulate(42, { trace: (line) => first.push(line) });
  const two = await simulate(42, { trace: (line) => second.push(line) });

  expect(first.length).toBeGreaterThan(100);
  expect(second).toEqual(first);
  expect(two).toEqual(report);
});

test("the sweep alone completes everything if every send of handlers and workers is lost", async () => {
  const { failed, schedules } = await runSchedules({ from: 1, count: 150, schedule: { onlySweeps: true } });

  expect(failed.map(({ seed, violations }) => `seed ${seed}: ${violations[0]}`)).toEqual([]);
  expect(schedules).toBe(150);
});

test("a sweep reads as soon as it starts after the faults, even if nothing else happens", async () => {
  const seedsThatStalled = [89030, 94185];

  const reports = await Promise.all(seedsThatStalled.map((seed) => simulate(seed)));

  expect(reports.map(({ violations }) => violations)).toEqual([[], []]);
});

test("a schedule that was cut short is reported as such, not as the work that it could not finish", async () => {
  const { calls, violations } = await simulate(42, { mostCalls: 200 });

  expect(calls).toBe(200);
  expect(violations).toEqual(["not over after 200 calls"]);
});

test("schedules reach their targets: faults, ends of every kind, waits and backfills", async () => {
  const lines: string[] = [];

  for (let seed = 1; seed <= 30; seed++) await simulate(seed, { trace: (line) => lines.push(line) });

  for (const met of [
    "crashes",
    "freezes",
    "fails",
    "lost:",
    "cancel",
    "extend",
    "apply",
    "remove",
    "sweep",
    "postToPort",
  ]) {
    expect(lines.filter((line) => line.includes(met)).length, met).toBeGreaterThan(5);
  }
});

test.each(plantedBugs.map(({ name, edits }) => [name, edits] as const))(
  "'%s' still finds its place in the source",
  (_, edits) => {
    const sources = new Map<string, string>();
    for (const { file, find, replace } of edits) {
      const parts = (sources.get(file) ?? readFileSync(join(core, file), "utf8")).split(find);
      expect(parts).toHaveLength(2);
      sources.set(file, parts.join(replace));
    }
  },
);

test("planted mistakes are caught one by one in one copy, by a seed or a test, and removed again", async () => {
  const copy = await copyCore();
  onTestFinished(() => copy.remove());
  const named = (wanted: string) => {
    const bug = plantedBugs.find(({ name }) => name === wanted);
    if (!bug) throw new Error("The bug is not in the list");
    return bug;
  };
  const [order, signal] = [named("end of life in another order"), named("a signal answered from a listing")];

  const byKnownSeed = await copy.catchPlanted(order, 0, 1);
  const bySearch = await copy.catchPlanted(order, 50, 3);
  const byTest = await copy.catchPlanted(signal, 0);
  const withoutBySeed = await copy.catchPlanted({ ...order, edits: [] }, 0, 1);
  const withoutByTest = await copy.catchPlanted({ ...signal, edits: [] }, 0);

  const violation = expect.stringMatching(/ gave back capacity that is in use/);
  expect(byKnownSeed).toEqual({ by: "schedule", seed: 1, violation });
  expect(bySearch).toEqual(byKnownSeed);
  expect(byTest).toEqual({ by: "test", test: signal.caughtBy });
  expect([withoutBySeed, withoutByTest]).toEqual([undefined, undefined]);
});
