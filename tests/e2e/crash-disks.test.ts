import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import { isAlive, type ProcessIdentity, signalProcess } from "#process/supervisor/process-identity.ts";
import { type JobClient, jobClient } from "./job-client.ts";
import { canListProcesses, eventually, listProcesses } from "./processes.ts";
import { openStackFixture, type StackFixture } from "./stack-fixture.ts";

const settings = { SWEEP_SECONDS: "1", LOCAL_NODES: "p5.48xlarge=2" };
const rounds = 3;
const disksEach = 2;
/** Enough files for a copy that usually lasts until the test finds it. If not, the test starts another. */
const files = 2_000;
const machine = { instance_type: "p5.48xlarge", gpu_count: 1 };
/** Time until a backup, which waits a minute for the claim of a dead stack. */
const backedUpWithinMs = 60_000 + PATIENCE_MS;

let fixture: StackFixture;

// Each try needs a new home, because another stack may still use the last one.
beforeEach(() => {
  fixture = openStackFixture("berth-crash-disks-");
});

afterEach(() => fixture.close());

describe("the local stack", () => {
  if (!canListProcesses) {
    it("needs a list of all processes", ({ skip }) => skip("this machine has no /proc"));
    return;
  }

  it("keeps the contents of a disk when it is killed during a backup", {
    timeout: 600_000,
    retry: 0,
  }, async () => {
    const { answered, copying, key } = await crashAgainAndAgain();

    const stack = await fixture.start(settings);
    const jobs = jobClient(stack.url, key);
    const found = await Promise.all([...answered.values()].map((id) => jobs.until(id, hasEnded, backedUpWithinMs)));
    const names = [...answered.keys()];
    const readers = await Promise.all(
      names.map((disk) => jobs.submit({ ...machine, disk_name: disk, command: reads(disk) })),
    );
    const result = await Promise.all(readers.map((id) => jobs.until(id, hasEnded, backedUpWithinMs)));
    const kept = await eventually(snapshotsByDisk, (all) => names.every((disk) => all.has(disk)), backedUpWithinMs);

    expect(copying).toBeGreaterThanOrEqual(rounds);
    expect(found.map(({ status_reason }) => status_reason)).toEqual(names.map(() => "command exited with code 0"));
    expect(result.map(({ status_reason }) => status_reason)).toEqual(names.map(() => "command exited with code 0"));
    expect([...kept.keys()].sort()).toEqual(names.sort());
    expect([...kept].flatMap(([disk, all]) => all.flatMap((directory) => listFaults(disk, directory)))).toEqual([]);
  });
});

interface Crashed {
  /** Answered jobs by disk. */
  readonly answered: ReadonlyMap<string, string>;
  /** Number of copies in progress at the kills. */
  readonly copying: number;
  readonly key: string;
}

/** Runs stacks in one home, and kills each while a copy of a backup is suspended. The copy continues afterwards. */
async function crashAgainAndAgain(): Promise<Crashed> {
  const answered = new Map<string, string>();
  let [copying, key] = [0, ""];
  for (let round = 0; round < rounds; round += 1) {
    const orphans = copies();
    const stack = await fixture.start(settings);
    key ||= (await stack.env()).API_KEY ?? "";
    const held = await holdCopy(jobClient(stack.url, key), { round, answered, orphans });
    try {
      await stack.kill("SIGKILL");
      copying += snapshotsWith("unfinished").length;
    } finally {
      signalProcess(held, "SIGCONT");
    }
  }
  return { answered, copying, key };
}

interface Round {
  readonly round: number;
  readonly answered: Map<string, string>;
  /** Copies of killed stacks, whose snapshots are given up. */
  readonly orphans: readonly ProcessIdentity[];
}

/** Suspends a copy that a stack has begun. Submits more jobs while their copies end before they are found. */
async function holdCopy(jobs: JobClient, { round, answered, orphans }: Round): Promise<ProcessIdentity> {
  const end = performance.now() + backedUpWithinMs;
  for (let tries = 0; performance.now() < end; tries += 1) {
    const names = await submitAll(jobs, `${round}-${tries}`, answered);
    const areOver = () => names.every((disk) => snapshotsByDisk().has(disk));
    const seen = async () => ({ held: await stopCopy(orphans), areOver: areOver() });
    const { held } = await eventually(seen, (now) => now.held !== undefined || now.areOver, backedUpWithinMs);
    if (held) return held;
  }
  throw new Error("No copy lived while it was looked for");
}

/** Suspends a copy of the stack in this home, so that its snapshot stays unfinished. */
async function stopCopy(orphans: readonly ProcessIdentity[]): Promise<ProcessIdentity | undefined> {
  const ownIdentities = copies().filter(({ pid }) => orphans.every((orphan) => orphan.pid !== pid));
  const copy = ownIdentities.find((each) => signalProcess(each, "SIGSTOP"));
  if (!copy) return undefined;
  const hasStopped = () => isStopped(copy.pid);
  return (await eventually(hasStopped, (stopped) => stopped || !isAlive(copy))) ? copy : undefined;
}

function copies(): ProcessIdentity[] {
  const into = join(fixture.home, "snapshots");
  return listProcesses().filter(({ command }) => command.startsWith("cp ") && command.includes(into));
}

/** Reports whether a process is suspended. The state follows the name in brackets (proc(5)). */
function isStopped(pid: number): boolean {
  try {
    return / T /.test(readFileSync(`/proc/${pid}/stat`, "latin1").replace(/^.*\)/s, ""));
  } catch {
    return false;
  }
}

async function submitAll(jobs: JobClient, part: string, answered: Map<string, string>): Promise<string[]> {
  const names = Array.from({ length: disksEach }, (_, at) => `disk-${part}-${at}`);
  await Promise.all(
    names.map(async (disk) => {
      answered.set(disk, await jobs.submit({ ...machine, disk_name: disk, command: writes(disk) }));
    }),
  );
  return names;
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
  const home = join(fixture.home, "snapshots");
  return namesIn(home).filter((name) => name.startsWith("snap-") && namesIn(join(home, name)).includes(part));
}

/** Returns the directories of complete snapshots by the name of their disk. */
function snapshotsByDisk(): Map<string, string[]> {
  const found = new Map<string, string[]>();
  for (const name of snapshotsWith("data")) {
    const directory = join(fixture.home, "snapshots", name);
    const tags = JSON.parse(readFileSync(join(directory, "tags.json"), "utf8")) as { name: string };
    found.set(tags.name, [...(found.get(tags.name) ?? []), join(directory, "data")]);
  }
  return found;
}

function listFaults(disk: string, directory: string): string[] {
  const written = readFileSync(join(directory, "written"), "utf8");
  const count = readdirSync(join(directory, "many")).length;
  return written === `${disk}\n` && count === files ? [] : [`${directory}: ${count} files, ${written}`];
}

/** Returns the names in a directory, or none if it has gone. */
function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
