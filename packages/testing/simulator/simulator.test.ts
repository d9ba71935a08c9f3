import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runSchedules } from "./campaign.ts";
import { catchPlanted } from "./plant.ts";
import { plantedBugs } from "./planted.ts";
import { simulate } from "./schedule.ts";

const core = join(import.meta.dirname, "../../core");

test("a seed replays to the letter", async () => {
  const first: string[] = [];
  const second: string[] = [];

  const one = await simulate(42, { trace: (line) => first.push(line) });
  const two = await simulate(42, { trace: (line) => second.push(line) });

  expect(first.length).toBeGreaterThan(100);
  expect(second).toEqual(first);
  expect(two).toEqual(one);
});

test("where every send of handlers and workers is lost, the sweep alone brings everything to its end", async () => {
  const { failed, schedules } = await runSchedules({ from: 1, count: 150, schedule: { onlySweeps: true } });

  expect(failed.map(({ seed, violations }) => `seed ${seed}: ${violations[0]}`)).toEqual([]);
  expect(schedules).toBe(150);
});

test("once the faults are over a sweep asks at the moment it begins, although nothing else goes on", async () => {
  const seedsThatStalled = [89030, 94185];

  const reports = await Promise.all(seedsThatStalled.map((seed) => simulate(seed)));

  expect(reports.map(({ violations }) => violations)).toEqual([[], []]);
});

test("a schedule that was cut short is told as that, and not as what it had no calls left to finish", async () => {
  const { calls, violations } = await simulate(42, { mostCalls: 200 });

  expect(calls).toBe(200);
  expect(violations).toEqual(["not over after 200 calls"]);
});

test("schedules do meet what they are for: faults, ends of every kind, waiting and passing", async () => {
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

test("a planted bug is caught", async () => {
  const [bug] = plantedBugs.filter(({ name }) => name === "end of life in another order");
  if (!bug) throw new Error("The bug is not in the list");

  const caught = await catchPlanted(bug, 50);

  expect(caught).toMatch(/gave back capacity that is in use/);
});
