import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { type Figures, newSamples, type Samples, tooFew } from "./population-figures.ts";

function getSamples(count: number): Samples {
  const samples = newSamples();
  for (let n = 0; n < count; n++) samples.add(n);
  return samples;
}

/** Figures with this count in each place that `tooFew` reads. */
function getFigures(count: number): Figures {
  const samples = getSamples(count);
  return {
    people: 40,
    days: 1,
    environments: count,
    calls: 1,
    plans: 1,
    mostWaiting: count,
    gpuHours: { there: count, used: count, idleWanted: 0, leaked: 0 },
    waits: { light: samples, heavy: samples, first: samples },
    granting: samples,
    taking: samples,
    estimates: samples,
    estimatesMissing: 0,
    largest: new Map(),
    writes: samples,
    sends: samples,
  };
}

test("a population that reached too little is reported with the missing events", () => {
  expect(tooFew(getFigures(151), 1)).toEqual([]);
  expect(tooFew(getFigures(51), 0)).toEqual([
    "environments: 51, of more than 150",
    "most waiting: 51, of more than 100",
    "GPU-hours used: 51, of more than 100",
    "bad hours: 0, of more than 0",
  ]);
  expect(tooFew(getFigures(10), 1)).toHaveLength(9);
});

test("`simulate --reach` fails for a population that reached too little, with the reason", async () => {
  const script = join(import.meta.dirname, "../../../scripts/simulate.ts");
  const run = promisify(execFile);
  const names = [script, "--population", "1", "--days", "0.01"];

  const { stdout } = await run(process.execPath, names);
  const red = await run(process.execPath, [...names, "--reach"]).catch((error) => error);

  expect(stdout).toContain("0 violations");
  expect(red).toMatchObject({ code: 1, stdout: expect.stringContaining("too few to judge: environments: 0") });
});
