import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { findProcess } from "#process/supervisor/process-identity.ts";
import type { Measure, Row } from "../measure.ts";
import { type LocalStack, until, withStack } from "../server/local-stack.ts";

const environments = 300;
const restSeconds = 10;
const ticksPerSecond = 100;
const patienceMs = 600_000;

/**
 * Memory and CPU of many idle environments with their pages, including the processes that supervise them. Memory is the
 * proportional share (PSS in proc_pid_smaps(5)).
 */
export const population: Measure = {
  name: "population",
  async run() {
    const found = await withStack(`m7i.8xlarge=${environments}`, measure);
    const left = await getLeft(found.pids);
    return listRows(found, left);
  },
};

interface Found {
  readonly pids: readonly number[];
  readonly megabytes: number;
  readonly startedMs: number;
  readonly cpu: number;
}

async function measure(stack: LocalStack): Promise<Found> {
  const begun = performance.now();
  await createAll(stack);
  const startedMs = performance.now() - begun;
  const before = getTicks(stack.home);
  await sleep(restSeconds * 1000);
  const cpu = (getTicks(stack.home) - before) / ticksPerSecond / restSeconds;
  const pids = listProcesses(stack.home);
  if (pids.length < environments)
    throw new Error(`${environments} environments run, and ${pids.length} processes were found`);
  const megabytes = pids.reduce((sum, pid) => sum + getPss(pid), 0) / 1024;
  return { pids, megabytes, startedMs, cpu };
}

/** Counts processes that survive the stack. A zombie does not count. */
async function getLeft(pids: readonly number[]): Promise<number> {
  await sleep(500);
  return pids.filter((pid) => findProcess(pid) !== undefined).length;
}

function listRows({ megabytes, pids, startedMs, cpu }: Found, left: number): Row[] {
  const note = `${environments} sessions, ${pids.length} processes`;
  return [
    { name: "idle environment: memory (PSS)", value: megabytes / environments, unit: "MB", limit: 15, note },
    { name: "idle environments: CPU of them all", value: cpu * 100, unit: "%", note: `${restSeconds} s of rest` },
    { name: "idle environments: all running after", value: startedMs / 1000, unit: "s", note },
    { name: "idle environments: processes left", value: left, unit: "", limit: 0, note: "0.5 s after the stack ended" },
  ];
}

async function createAll(stack: LocalStack): Promise<void> {
  const uuids: string[] = [];
  for (let n = 0; n < environments; n += 1) {
    const { uuid } = await stack.call<{ uuid: string }>("POST", "/session/create", { user_id: `bench-${n}` });
    uuids.push(uuid);
  }
  for (const uuid of uuids) await until(() => isRunning(stack, uuid), patienceMs);
}

async function isRunning(stack: LocalStack, uuid: string): Promise<true | undefined> {
  const { session } = await stack.call<{ session: { status: string } }>("GET", `/session/${uuid}/status`);
  return session.status === "running" ? true : undefined;
}

/** Lists processes with the name of a run, processes started for this home, and their descendants. */
function listProcesses(home: string): number[] {
  const runs = new Set(readdirSync(join(home, "runs")));
  const parents = new Map<number, number>();
  for (const entry of readdirSync("/proc")) {
    const parent = /^\d+$/.test(entry) ? /\) \S (\d+)/.exec(read(`/proc/${entry}/stat`))?.[1] : undefined;
    if (parent !== undefined) parents.set(Number(entry), Number(parent));
  }
  const isIts = (pid: number): boolean => {
    if (pid < 2 || pid === process.pid) return false;
    return isForHome(pid, home, runs) || isIts(parents.get(pid) ?? 0);
  };
  return [...parents.keys()].filter(isIts);
}

function isForHome(pid: number, home: string, runs: ReadonlySet<string>): boolean {
  const [, run = ""] = /(?:^|\0)BERTH_RUN=([^\0]*)/.exec(read(`/proc/${pid}/environ`)) ?? [];
  return runs.has(run) || read(`/proc/${pid}/cmdline`).includes(home);
}

function getPss(pid: number): number {
  const [, kibibytes] = /^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`)) ?? [];
  if (kibibytes === undefined && findProcess(pid) !== undefined)
    throw new Error(`Memory of process ${pid} is unreadable`);
  return Number(kibibytes ?? 0);
}

function getTicks(home: string): number {
  return listProcesses(home).reduce((sum, pid) => {
    const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
    return sum + Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }, 0);
}

/** Returns "" if the process ended during the read. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
