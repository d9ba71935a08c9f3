import { afterAll, beforeAll, expect, test } from "vitest";
import { eventually } from "../../tests/e2e/processes.ts";
import type { SubmitJob } from "../sdk/jobs.ts";
import { type CliFixture, openCliFixture } from "./cli-fixture.ts";
import { closeScreens, keys, openScreen, type Screen, withoutVolatile } from "./screen-fixture.ts";

let cli: CliFixture;
beforeAll(async () => {
  cli = await openCliFixture({ LOCAL_NODES: "p5.48xlarge=2,c7i.8xlarge=4" });
  await cli.run("login");
  await cli.run("disks", "create", "papers", "--size", "20");
  await cli.run("up", "-t", "h100", "-g", "8", "--hours", "3", "--disk", "datasets", "trains");
  await estimated({ instance_type: "c7i.8xlarge" });
  await estimated({ instance_type: "p5.48xlarge", gpu_count: 16 });
});
afterAll(() => {
  closeScreens();
  return cli.close();
});

/** The stack makes forecasts one after another. */
function estimated(job: Pick<SubmitJob, "instance_type" | "gpu_count">) {
  const read = () => cli.berth.jobs.estimate({ image: "ubuntu:24.04", duration_hours: 1, ...job });
  return eventually(read, ({ estimated_start_time }) => estimated_start_time !== null);
}

/** The text of each question, and the typed answer. */
const steps: readonly (readonly [question: RegExp, typed: string])[] = [
  [/◆ {2}Type of machine/, keys.enter],
  [/◆ {2}GPUs/, keys.enter],
  [/◆ {2}Hours/, `90m${keys.enter}`],
  [/◆ {2}Disk for your files/, keys.down + keys.enter],
  [/◆ {2}Name of the disk/, keys.enter],
  [/◆ {2}Size in GB/, `200${keys.enter}`],
  [/◆ {2}Image/, keys.enter],
  [/◆ {2}Name(?! of)/, `my first train${keys.enter}`],
  [/◆ {2}Start it\?/, keys.enter],
];

async function walk(screen: Screen, count: number): Promise<string[]> {
  const shown: string[] = [];
  for (const [question, typed] of steps.slice(0, count)) {
    await screen.shows(question);
    shown.push(screen.text());
    screen.press(typed);
  }
  return shown;
}

test.each([60, 80, 120])(
  "at %i columns the questions of up read well, and none of their lines is broken",
  async (columns) => {
    const screen = openScreen(cli, { columns }, "up");

    const shown = await walk(screen, steps.length - 1);
    await screen.shows("Start it?");
    shown.push(screen.text());
    screen.press("n");

    expect(await screen.ended).toBe(1);
    const pages = [...shown, screen.text()].map((page) => withoutVolatile(page));
    await expect(pages.join(`\n${"=".repeat(columns)}\n`)).toMatchFileSnapshot(`screens/wizard-${columns}.txt`);
  },
);

test.each(steps.map(([question], at) => [at, question.source.replace(/\W+/g, " ").trim()] as const))(
  "Ctrl-C, Esc and SIGTERM at question %i (%s) submit nothing and leave the terminal as it was",
  async (at) => {
    const question = steps[at]?.[0] ?? /never/;
    const ends = [keys.interrupt, keys.escape, "SIGTERM"].map(async (end) => {
      const screen = openScreen(cli, { thenSettings: end !== "SIGTERM" }, "up");
      await walk(screen, at);
      await screen.shows(question);
      if (end === "SIGTERM") screen.kill(end);
      if (end !== "SIGTERM") screen.press(end);

      expect(await screen.ended).toBe(130);
      expect(screen.text()).toContain("Nothing was submitted.");
      expect(screen.hasCursor()).toBe(true);
      if (end !== "SIGTERM") expect(screen.text()).toMatch(/ icanon[\s\S]* echo /);
    });
    await Promise.all(ends);

    expect(await jobNames()).toEqual(["trains"]);
  },
);

test("settings from flags and berth.yaml are not asked for", async () => {
  const names = ["--gpus", "1", "--hours", "2", "--disk", "papers", "--image", "ubuntu:24.04", "named"];
  const screen = openScreen(cli, {}, "up", "--dry-run", ...names);
  await walk(screen, 1);
  expect(await screen.ended).toBe(0);
  expect(screen.text().match(/◇.*/g)).toEqual(["◇  Type of machine"]);
  expect(screen.text()).toContain("p5.48xlarge: 1 × 2 h = 2 GPU-hours\nWould start now");

  expect(await openScreen(cli, {}, "up", "--dry-run", "-t", "cpu").ended).toBe(0);
});

test.each([{ BERTH_ACCESSIBLE: "1" }, { TERM: "dumb" }])("with %j the questions are plain lines", async (env) => {
  const screen = openScreen(cli, { env, columns: 60 }, "up");
  await screen.shows("Number, 1 to 10 [1]:");
  screen.press("11\r");
  await screen.shows(/\[1\]: 11\s+Number/);
  screen.press("\r");
  for (const question of ["Number, 1 to 5 [1]:", "Hours [1]:", "Number, 1 to 3 [1]:", "Image [", "Name [chosen"]) {
    await screen.shows(question);
    screen.press("\r");
  }
  await screen.shows("Start it? [Y/n]");
  screen.press("n\r");

  expect(await screen.ended).toBe(1);
  await expect(withoutVolatile(screen.text())).toMatchFileSnapshot("screens/wizard-plain.txt");

  const interrupted = openScreen(cli, { env }, "up");
  await interrupted.shows("Number, 1 to");
  interrupted.press(keys.interrupt);
  expect(await interrupted.ended).toBe(130);
  expect(await jobNames()).toEqual(["trains"]);
});

test("the answer no submits nothing, and the answer yes starts the planned job", async () => {
  const refused = openScreen(cli, {}, "up");
  await walk(refused, steps.length - 1);
  await refused.shows("Start it?");
  refused.press("n");
  expect(await refused.ended).toBe(1);
  expect(await jobNames()).toEqual(["trains"]);

  const screen = openScreen(cli, { columns: 200 }, "up", "-d", "--env", "TOKEN=hunter2");
  await walk(screen, steps.length);

  expect(await screen.ended).toBe(0);
  const line = "berth up 'my first train' --type h100 --gpus 1 --hours 1.5 --disk data --disk-size 200 --env TOKEN=…";
  expect(screen.text()).toContain(`${line}\n`);
  expect(screen.text()).not.toContain("hunter2");
  expect(await jobNames()).toEqual(["my first train", "trains"]);
  await cli.run("end", "my first train");
});

test("in a pipe the error names the flag", async () => {
  const { code, stdout, stderr } = await cli.run("up");

  expect([code, stdout]).toEqual([2, ""]);
  expect(stderr).toBe("error: Say which type of machine: --type\nhint: See what is free with: berth avail\n");
});

async function jobNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of cli.berth.jobs.list({ status: ["queued", "preparing", "active"] })) names.push(name);
  return names;
}
