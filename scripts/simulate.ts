import { parseArgs } from "node:util";
import { chromium } from "#tests/e2e/browser-fixture.ts";
import { type CampaignResult, runSchedules, unreached } from "#tests/simulator/campaign.ts";
import { runInJobs } from "#tests/simulator/jobs.ts";
import { type Catch, copyCore, type PlantedBug } from "#tests/simulator/planted/plant.ts";
import { plantedBugs } from "#tests/simulator/planted/planted.ts";
import { readSeeds, writeSeeds } from "#tests/simulator/planted/planted-seeds.ts";
import { simulatePopulation } from "#tests/simulator/population/population.ts";
import { formatTable, tooFew } from "#tests/simulator/population/population-figures.ts";
import { type Omitted, simulate } from "#tests/simulator/schedule.ts";
import type { FaultRates } from "#tests/simulator/scheduler.ts";
import { type Shrunk, shrink } from "#tests/simulator/shrink.ts";
import { appendSlice, cleanCommit, SLICE_SECONDS } from "#tests/simulator/slices.ts";

const { values } = parseArgs({
  options: {
    /** Runs seeds `from` to `from + schedules - 1` in `jobs` processes. */
    from: { type: "string", default: "1" },
    schedules: { type: "string", default: "2000" },
    jobs: { type: "string", default: "2" },
    /** Fails unless the schedules reach every interesting state, or a population enough of each judged case. */
    reach: { type: "boolean", default: false },
    /** Adds one line to the committed summary. */
    append: { type: "boolean", default: false },
    /** Stops at the first violation, in this process. */
    first: { type: "boolean", default: false },
    shrink: { type: "string" },
    /** Prints a seed as a story; with `calls`, every call. */
    replay: { type: "string" },
    calls: { type: "boolean", default: false },
    /** Parts that a replay omits, as `shrink` found them: indexes of user actions, and kinds of faults. */
    without: { type: "string", default: "" },
    faultless: { type: "string", default: "" },
    /** Simulates this many people on one cluster for `days` virtual days, with the seed `from`. */
    population: { type: "string" },
    days: { type: "string", default: "7" },
    /** Prints only the events before the first violation. */
    story: { type: "boolean", default: false },
    planted: { type: "boolean", default: false },
    /** Records the seeds that caught mistakes, for the next run. */
    remember: { type: "boolean", default: false },
    /** Runs only planted mistakes whose name contains this text. */
    only: { type: "string", default: "" },
  },
});
const from = Number(values.from);
const count = Number(values.schedules);

if (values.replay !== undefined) await replay(Number(values.replay));
else if (values.shrink !== undefined) await shrunkStory(Number(values.shrink));
else if (values.planted) await planted();
else if (values.population !== undefined) await population(Number(values.population));
else if (values.first) await report(await runSchedules({ from, count, stopAtFirst: true }));
else if (values.append) await slice();
else await report(await runInJobs({ from, count, jobs: Number(values.jobs) }));

async function replay(seed: number): Promise<void> {
  const without = {
    actions: words(values.without).map(Number),
    faults: words(values.faultless) as (keyof FaultRates)[],
  };
  await tell(seed, without);
}

async function tell(seed: number, without: Omitted): Promise<void> {
  const print = (line: string) => console.log(line);
  const { violations } = await simulate(seed, { without, story: print, ...(values.calls && { trace: print }) });
  console.log(`seed ${seed}: ${violations[0] ?? "no violation"}`);
  process.exitCode = violations.length > 0 ? 1 : 0;
}

async function shrunkStory(seed: number): Promise<void> {
  const shrunk = await shrink(seed);
  if (!shrunk) return console.log(`seed ${seed}: no violation`);
  const { actions, faults } = shrunk.left;
  console.log(`seed ${seed} needs ${actions} user actions and the faults ${faults.join(", ") || "none"}:`);
  await tell(seed, shrunk);
  console.log(`replay: ${replayCommand(seed, shrunk)}`);
}

function replayCommand(seed: number, { actions, faults }: Shrunk): string {
  const left = [
    ...(actions.length > 0 ? [`--without ${actions.join(",")}`] : []),
    ...(faults.length > 0 ? [`--faultless ${faults.join(",")}`] : []),
  ];
  return ["npm run simulate --", `--replay ${seed}`, ...left].join(" ");
}

/** Tries `jobs` mistakes at a time, each in its own copy of the source. */
async function planted(): Promise<void> {
  const begun = performance.now();
  const named = plantedBugs.filter(({ name }) => name.includes(values.only));
  const bugs = named.filter(({ caughtBy }) => chromium !== undefined || caughtBy?.project !== "console");
  if (bugs.length < named.length) console.log(`${named.length - bugs.length} are skipped: there is no Chromium`);
  const seeds = await readSeeds();
  const found = new Map<string, number>();
  const left = [...bugs];
  const tried = new Set<string>();
  let missed = 0;
  process.once("SIGTERM", () => {
    console.log(`Stopped during ${[...tried].join(", ")}; ${left.length} are left`);
    process.exit(1);
  });
  async function work(): Promise<void> {
    const copy = await copyCore();
    try {
      for (let bug = left.shift(); bug; bug = left.shift()) {
        tried.add(bug.name);
        const caught = await copy.catchPlanted(bug, count, seeds.get(bug.name));
        tried.delete(bug.name);
        console.log(caught ? `caught  ${bug.name}: ${formatText(caught)}` : `MISSED  ${bug.name}${howTried(bug)}`);
        if (!caught) missed += 1;
        if (caught?.by === "schedule" && !bug.population) found.set(bug.name, caught.seed);
      }
    } finally {
      await copy.remove();
    }
  }
  await Promise.all(Array.from({ length: Number(values.jobs) }, work));
  const seconds = Math.round((performance.now() - begun) / 1000);
  console.log(`${bugs.length - missed} caught, ${missed} missed, in ${seconds} s`);
  const others = [...found].filter(([name, seed]) => seeds.get(name) !== seed);
  if (values.remember) await writeSeeds(new Map([...seeds, ...found]));
  else if (others.length > 0)
    console.log(`${others.length} needed a search; --remember saves their seeds for the next run`);
  process.exitCode = missed > 0 || bugs.length === 0 ? 1 : 0;
}

function formatText(caught: Catch): string {
  if (caught.by === "test") return `${caught.test.file}: ${caught.test.title}`;
  return `seed ${caught.seed}: ${caught.violation}`;
}

function howTried({ caughtBy, population: input }: PlantedBug): string {
  if (input) return ` by ${input.people} people in ${input.days} days`;
  return caughtBy ? ` by ${caughtBy.file}: ${caughtBy.title}` : ` in ${count} schedules`;
}

async function population(people: number): Promise<void> {
  const begun = process.cpuUsage();
  const story = values.story ? { story: (line: string) => console.log(line) } : {};
  const input = { people, days: Number(values.days), stopAtFirst: values.first, ...story };
  const { violations, figures, bad } = await simulatePopulation(from, input);
  const { user, system } = process.cpuUsage(begun);
  for (const line of [...formatTable(figures), ...bad.map((hour) => `bad hour: ${hour}`)]) console.log(line);
  for (const violation of violations) console.log(`seed ${from}: ${violation}`);
  console.log(`${violations.length} violations, ${Math.round((user + system) / 1e6)} s of CPU`);
  const missing = values.reach ? tooFew(figures, bad.length) : [];
  for (const subject of missing) console.log(`too few to judge: ${subject}`);
  process.exitCode = violations.length + missing.length > 0 ? 1 : 0;
}

async function slice(): Promise<void> {
  const commit = cleanCommit();
  const result = await runInJobs({ from, count, jobs: Number(values.jobs), stopAfterSeconds: SLICE_SECONDS });
  appendSlice(commit, from, result);
  await report(result);
}

async function report(result: CampaignResult): Promise<void> {
  const { schedules, failed, calls, most, cpuSeconds, seconds } = result;
  for (const { seed, violations } of failed.slice(0, 20)) console.log(`seed ${seed}: ${violations[0]}`);
  const each = {
    calls: Math.round(calls / schedules),
    most,
    cpuMs: Number(((1000 * cpuSeconds) / schedules).toFixed(2)),
  };
  const took = `${Math.round(cpuSeconds)} s of CPU in ${Math.round(seconds)} s`;
  console.log(`${schedules} schedules, ${failed.length} with violations, ${took}; each ${JSON.stringify(each)}`);
  process.exitCode = failed.length > 0 ? 1 : 0;
  if (values.reach) {
    const missing = unreached(result);
    for (const state of missing) console.log(`never reached: ${state}`);
    if (missing.length > 0) process.exitCode = 1;
    const rarest = Object.entries(result.reached).sort(([, a], [, b]) => a - b);
    console.log(
      `rarest: ${rarest
        .slice(0, 10)
        .map(([state, times]) => `${state} ${times}`)
        .join(", ")}`,
    );
  }
  const [first] = failed;
  if (first && !values.first) await shrunkStory(first.seed);
}

function words(list: string): string[] {
  return list.split(",").filter((word) => word !== "");
}
