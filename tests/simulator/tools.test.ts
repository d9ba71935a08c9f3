import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runInJobs } from "./jobs.ts";
import { type ScheduleOptions, simulate } from "./schedule.ts";
import { shrink } from "./shrink.ts";
import { cleanCommit } from "./slices.ts";

test("two processes find the same as one, and run every seed once", async () => {
  const result = await runInJobs({ from: 1, count: 25, jobs: 1, atOnce: 10 });
  const two = await runInJobs({ from: 1, count: 25, jobs: 2, atOnce: 10 });

  expect(result.schedules).toBe(25);
  expect([two.schedules, two.calls, two.most]).toEqual([result.schedules, result.calls, result.most]);
  expect(two.cpuSeconds).toBeGreaterThan(0);
});

test("a failing schedule is reduced until no step can be left out", async () => {
  const report = await simulate(1);
  const run = async (_: number, { without }: ScheduleOptions = {}) => {
    const fails = [3, 8].every((place) => !without?.actions.includes(place)) && !without?.faults.includes("crash");
    return { ...report, drawn: 11, violations: fails ? ["job-1 took 4 ms too long"] : ["something else"] };
  };

  const shrunk = await shrink(1, run);

  expect(shrunk?.actions).toEqual([0, 1, 2, 4, 5, 6, 7, 9, 10]);
  expect(shrunk?.left).toEqual({ actions: 2, faults: ["crash"] });
});

test("a clean seed has nothing to shrink", async () => {
  expect(await shrink(1)).toBeUndefined();
});

test("the story of a seed shows each request with its user, time and answer", async () => {
  const story: string[] = [];

  for (let seed = 1; seed <= 5; seed++) await simulate(seed, { story: (line) => story.push(line) });

  expect(story.filter((line) => /^ +\d+\.\d{3} s {2}\w+ +asks: submit job-1$/.test(line)).length).toBeGreaterThan(0);
  expect(story.filter((line) => / is answered: submit job-1$/.test(line)).length).toBeGreaterThan(0);
  expect(story.filter((line) => /alice\/job-1 +is queued, run 1$/.test(line)).length).toBeGreaterThan(0);
});

test("a slice is refused if the working tree has uncommitted changes", async () => {
  const directory = await mkdtemp(join(tmpdir(), "slices-"));
  onTestFinished(() => rm(directory, { recursive: true }));
  const git = (...args: string[]) => execFileSync("git", args, { cwd: directory, encoding: "utf8" });
  git("init", "--quiet");
  git("-c", "user.name=a", "-c", "user.email=a@b", "commit", "--quiet", "--allow-empty", "-m", "Empty");
  const commit = cleanCommit(directory);

  await writeFile(join(directory, "new.txt"), "new");

  expect(commit).toMatch(/^[0-9a-f]{40}$/);
  expect(() => cleanCommit(directory)).toThrow(/the tree has changes: .*new\.txt/);
});
