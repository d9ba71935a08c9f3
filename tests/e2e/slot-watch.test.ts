import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { canListProcesses, eventually } from "./processes.ts";
import { type SlotReport, watchSlots } from "./slot-watch.ts";

const [name, two] = ["a", "b"].map((digit) => `${digit.repeat(32)}-r1`) as [string, string];

let home: string;
let children: ChildProcess[];

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "berth-slots-"));
  children = [];
});

afterEach(async () => {
  const ended = children.map((child) => once(child, "exit"));
  for (const child of children) child.kill("SIGKILL");
  await Promise.all(ended);
  rmSync(home, { recursive: true });
});

/** Starts a process in its own session with the run's name, as a supervisor does. */
async function begin(run: string, gpus: number): Promise<void> {
  mkdirSync(join(home, "runs", run), { recursive: true });
  writeFileSync(join(home, "runs", run, "run.json"), JSON.stringify({ key: run.slice(0, 32), nodes: ["n1"] }));
  const env = { BERTH_RUN: run, BERTH_GPUS: String(gpus) };
  const child = spawn("/bin/sleep", ["3600"], { detached: true, stdio: "ignore", env });
  children.push(child);
  await once(child, "spawn");
}

/** Returns the report after two looks at the present processes. */
async function getReport(capacity: number): Promise<SlotReport> {
  const watch = watchSlots(home, { n1: capacity });
  await eventually(
    () => watch.seen().looks,
    (passes) => passes >= 2,
  ).finally(() => watch.stop());
  const report = watch.stop();
  expect(report.seen.runs).toBeGreaterThan(0);
  return report;
}

async function reported(capacity: number): Promise<readonly string[]> {
  return [...new Set((await getReport(capacity)).conflicts)];
}

describe("the watch over slots", () => {
  if (!canListProcesses) {
    it("needs a list of all processes", ({ skip }) => skip("this machine has no /proc"));
    return;
  }

  it("finds a run that was started twice", async () => {
    for (const run of [name, name]) await begin(run, 1);

    expect(await reported(4)).toEqual([`${name} was begun twice`]);
  });

  it("finds a node with more units in use than it has", async () => {
    for (const run of [name, two]) await begin(run, 3);

    expect(await reported(4)).toEqual([expect.stringMatching(/^n1: 6 of 4 in use by /)]);
  });

  it("counts the runs of each record", async () => {
    for (const run of [name, name.replace(/1$/, "2"), two]) await begin(run, 1);

    const { runsByKey } = await getReport(4);

    expect([...runsByKey]).toEqual(expect.arrayContaining([name, two].map((run, at) => [run.slice(0, 32), 2 - at])));
    expect(runsByKey.size).toBe(2);
  });

  it("reports no violation for two runs that fit", async () => {
    for (const run of [name, two]) await begin(run, 2);

    expect(await reported(4)).toEqual([]);
  });
});
