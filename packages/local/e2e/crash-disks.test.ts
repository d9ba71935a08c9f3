import { randomInt } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "#testing/random.ts";
import { type JobClient, jobClient } from "./job-client.ts";
import { canListProcesses, eventually } from "./processes.ts";
import { openStackTrial, type StackTrial } from "./stack-trial.ts";

const seed = Number(process.env.CRASH_SEED ?? randomInt(1_000_000));
const settings = { SWEEP_SECONDS: "1", LOCAL_NODES: "p5.48xlarge=2" };
const rounds = 3;
const disksEach = 2;
/** So many that copying them takes longer than it takes to kill a stack. */
const files = 500;
const machine = { instance_type: "p5.48xlarge", gpu_count: 1 };
/** A claim that a dead stack left is respected for a minute. */
const backedUpWithinMs = 100_000;

let trial: StackTrial;
let random: () => number;

// Anew for each try: a home that another stack still uses would say nothing of this one.
beforeEach(() => {
  trial = openStackTrial("berth-crash-disks-");
  random = seededRandom(seed);
});

afterEach(() => trial.close());

describe("the local stack", () => {
  if (!canListProcesses) {
    it("needs a list of all processes", ({ skip }) => skip("this machine has no /proc"));
    return;
  }

  it(`keeps what is on a disk when it is killed while disks are backed up (CRASH_SEED=${seed})`, {
    timeout: 240_000,
  }, async () => {
    const { answered, copying, key } = await crashAgainAndAgain();

    const stack = await trial.start(settings);
    const jobs = jobClient(stack.url, key);
    const found = await Promise.all([...answered.values()].map((id) => jobs.until(id, hasEnded, backedUpWithinMs)));
    const names = [...answered.keys()];
    const readers = await Promise.all(
      names.map((disk) => jobs.submit({ ...machine, disk_name: disk, command: reads(disk) })),
    );
    const read = await Promise.all(readers.map((id) => jobs.until(id, hasEnded, backedUpWithinMs)));
    const kept = await eventually(snapshotsByDisk, (all) => names.every((disk) => all.has(disk)), backedUpWithinMs);

    expect(copying).toBeGreaterThan(0);
    expect(found.map(({ status_reason }) => status_reason)).toEqual(names.map(() => "command exited with code 0"));
    expect(read.map(({ status_reason }) => status_reason)).toEqual(names.map(() => "command exited with code 0"));
    expect([...kept.keys()].sort()).toEqual(names.sort());
    expect([...kept].flatMap(([disk, all]) => all.flatMap((directory) => faultsOf(disk, directory)))).toEqual([]);
  });
});

interface Crashed {
  /** The jobs that were answered, by their disk. */
  readonly answered: ReadonlyMap<string, string>;
  /** Snapshots that were being copied at the moments of the kills. */
  readonly copying: number;
  readonly key: string;
}

/** Stacks in one home, each killed at a random moment after its first backup began to be copied. */
async function crashAgainAndAgain(): Promise<Crashed> {
  const answered = new Map<string, string>();
  let [copying, key] = [0, ""];
  for (let round = 0; round < rounds; round += 1) {
    const stack = await trial.start(settings);
    key ||= (await stack.env()).API_KEY ?? "";
    const before = new Set(snapshotsWith("snapshot.json"));
    await submitAll(jobClient(stack.url, key), round, answered);
    await eventually(
      () => snapshotsWith("snapshot.json"),
      (all) => all.some((name) => !before.has(name)),
    );
    await sleep(random() * 60);
    await stack.kill("SIGKILL");
    copying += snapshotsWith("unfinished").length;
  }
  return { answered, copying, key };
}

async function submitAll(jobs: JobClient, round: number, answered: Map<string, string>): Promise<void> {
  const names = Array.from({ length: disksEach }, (_, at) => `disk-${round}-${at}`);
  await Promise.all(
    names.map(async (disk) => {
      answered.set(disk, await jobs.submit({ ...machine, disk_name: disk, command: writes(disk) }));
    }),
  );
}

function writes(disk: string): string {
  return `cd "$WORKSPACE" && mkdir many && seq ${files} | split -l 1 -a 4 - many/ && echo ${disk} >> written`;
}

function reads(disk: string): string {
  return `cd "$WORKSPACE" && test "$(cat written)" = ${disk} && test "$(ls many | wc -l)" = ${files}`;
}

function hasEnded({ status }: { readonly status: string }): boolean {
  return status === "completed" || status === "failed";
}

function snapshotsWith(part: string): string[] {
  const home = join(trial.home, "snapshots");
  return namesIn(home).filter((name) => name.startsWith("snap-") && namesIn(join(home, name)).includes(part));
}

/** The directories of what snapshots that are whole hold, by the name of their disk. */
function snapshotsByDisk(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of snapshotsWith("data")) {
    const directory = join(trial.home, "snapshots", name);
    const tags = JSON.parse(readFileSync(join(directory, "tags.json"), "utf8")) as { name: string };
    found.set(tags.name, [...(found.get(tags.name) ?? []), join(directory, "data")]);
  }
  return found;
}

function faultsOf(disk: string, directory: string): string[] {
  const written = readFileSync(join(directory, "written"), "utf8");
  const count = readdirSync(join(directory, "many")).length;
  return written === `${disk}\n` && count === files ? [] : [`${directory}: ${count} files, ${written}`];
}

/** Snapshots come and go while one looks. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
