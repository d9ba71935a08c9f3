import { randomBytes } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { ComputeNode, Observation, Run } from "#core/ports/compute.ts";
import { type SeenScript, seenAtEnd } from "./attempts-fixture.ts";
import { type ProcessCompute, processCompute } from "./compute.ts";
import { findNetwork } from "./network/network-probe.ts";
import { PATIENCE_MS } from "./patience-fixture.ts";
import type { ProcessComputeOptions } from "./runs/host.ts";
import { computeNode } from "./runs/pretend-node.ts";
import { type Network, readProcesses } from "./runs/records.ts";
import { findPrograms, systemPath } from "./sandbox/local-path.ts";
import { canSandbox } from "./sandbox/sandbox-probe.ts";

export const fixtureNodes = ["one", "two"].map((name) => {
  return { name, instanceType: "p5.48xlarge", zone: "local", ready: true };
});

/** Process driver with a temporary home, for tests. Closing it fails if a process is left. */
export interface Fixture {
  readonly options: ProcessComputeOptions;
  readonly compute: ProcessCompute;
  readonly nodes: readonly ComputeNode[];
  /** Outside the home. */
  readonly root: string;
  /** Outside the home, and shown by sandboxes. */
  readonly shown: string;
  readonly home: string;
  readonly uid: string;
  readonly directory: string;
  runOf(changes?: Partial<Run>): Run;
  observe(): Promise<Observation | undefined>;
  ended(): Promise<Observation | undefined>;
  seenScript(): Promise<SeenScript>;
  supervisorPid(): number;
  close(): Promise<void>;
}

export function openFixture(
  options: Pick<
    ProcessComputeOptions,
    "isolation" | "network" | "locking" | "limits" | "programs" | "startedWithinMs"
  > = {},
): Fixture {
  const root = mkdtempSync("/var/tmp/berth-fixture-");
  const home = join(root, "home");
  const shown = join(root, "shown");
  for (const directory of [home, shown]) mkdirSync(directory);
  chmodSync(root, 0o755);
  const programs = { path: systemPath, shown: [shown, ...findPrograms(process.env.PATH ?? "", home).shown] };
  // Even on a busy machine, `apply` must wait until the run has begun: no test makes another observation.
  const all = { home, nodes: fixtureNodes, programs, startedWithinMs: PATIENCE_MS, ...options };
  const compute = processCompute(all);
  const uid = randomBytes(16).toString("hex");
  const directory = join(home, "runs", `${uid}-r1`);
  const observe = () => compute.observe(uid, 1);
  const runOf = (changes: Partial<Run> = {}): Run => ({
    uid,
    run: 1,
    key: "k|1",
    name: "n",
    pool: "h100",
    instanceType: "p5.48xlarge",
    image: "busybox",
    command: "sleep 3600",
    env: {},
    shares: [{ node: "one", units: 2 }],
    gpusPerMachine: 2,
    mounts: [],
    ports: [],
    resources: null,
    until: Date.now() + 3_600_000,
    ...changes,
  });
  return {
    options: all,
    nodes: fixtureNodes.map((node) => computeNode(home, node)),
    compute,
    root,
    shown,
    home,
    uid,
    directory,
    runOf,
    observe,
    ended: () => eventually(observe, (seen) => seen?.state === "ended"),
    seenScript: () =>
      seenAtEnd(async () => {
        const isRunning = (await observe())?.state !== "ended";
        return { output: Buffer.from((await compute.readLog(uid, 1)).bytes).toString(), isRunning };
      }),
    supervisorPid: () => {
      const pid = readProcesses(directory)?.supervisor.pid;
      // A signal to pid 0 would reach the process group of the tests.
      if (pid === undefined) throw new Error("The run has no supervisor");
      return pid;
    },
    close: async () => {
      for (const { uid, run } of await compute.listRuns()) await compute.endRun(uid, run);
      await compute.shutdown();
      await nothingLeft(home, uid);
      rmSync(root, { recursive: true });
    },
  };
}

export function lacks(network: Network): string | undefined {
  if (!canSandbox()) return "this machine has no working bubblewrap";
  const isFound = network === "shared" || findNetwork() === "own";
  return isFound ? undefined : "this machine lacks a working slirp4netns or ip, or a reachable name server";
}

export async function eventually<Value>(read: () => Value | Promise<Value>, holds: (value: Value) => boolean) {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const value = await read();
    if (holds(value)) return value;
    if (performance.now() > end)
      throw new Error(`The condition did not become true: ${holds}, but ${JSON.stringify(value)}`);
    await sleep(10);
  }
}

/** Returns the pids that mention the home or the run in arguments, environment or working directory. */
export function listProcesses(home: string, uid: string): number[] {
  return readdirSync("/proc")
    .map(Number)
    .filter((pid) => pid > 1 && pid !== process.pid)
    .filter((pid) => {
      const said = ["cmdline", "environ"].map((name) =>
        readOr("", () => readFileSync(`/proc/${pid}/${name}`, "latin1")),
      );
      const place = readOr("", () => readlinkSync(`/proc/${pid}/cwd`));
      return said.some((text) => text.includes(`${home}/`) || text.includes(uid)) || place.startsWith(home);
    });
}

export function findPids(fixture: Fixture, text: string): number[] {
  return listProcesses(fixture.home, fixture.uid).filter((pid) =>
    readOr("", () => readFileSync(`/proc/${pid}/cmdline`, "latin1"))
      .replaceAll("\0", " ")
      .startsWith(text),
  );
}

export function printing(shown: string, lines: readonly string[]): string {
  const file = join(shown, `lines-${randomBytes(4).toString("hex")}`);
  writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
  return `cat ${file}`;
}

async function nothingLeft(home: string, uid: string): Promise<void> {
  await eventually(
    () => listProcesses(home, uid).map((pid) => readOr("", () => readFileSync(`/proc/${pid}/cmdline`, "latin1"))),
    (left) => left.length === 0,
  );
}

function readOr(otherwise: string, read: () => string): string {
  try {
    return read();
  } catch {
    return otherwise;
  }
}
