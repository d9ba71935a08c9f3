import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type LocalStack, until, withStack } from "./local-stack.ts";
import type { Measure, Row } from "./measure.ts";

const environments = 300;
/** Of the user's own and the kernel's time, while nobody asks anything. */
const restSeconds = 10;
const ticksPerSecond = 100;
const patienceMs = 600_000;

/**
 * What so many idle environments cost together, each with the page that stands for its image: all of their processes
 * and those that look after them, by the share of the memory that is theirs (PSS in proc_pid_smaps(5)).
 */
export const population: Measure = {
  name: "population",
  run: () =>
    withStack(`m7i.8xlarge=${environments}`, async (stack) => {
      const begun = performance.now();
      const uuids = await createAll(stack);
      const startedMs = performance.now() - begun;
      const before = ticksOf(stack.home);
      await new Promise((resolve) => setTimeout(resolve, restSeconds * 1000));
      const cpu = (ticksOf(stack.home) - before) / ticksPerSecond / restSeconds;
      const seen = processesOf(stack.home);
      const megabytes = seen.reduce((sum, pid) => sum + pssOf(pid), 0) / 1024;
      await endAll(stack, uuids);
      return rowsOf({ megabytes, processes: seen.length, startedMs, cpu });
    }),
};

function rowsOf(all: { megabytes: number; processes: number; startedMs: number; cpu: number }): Row[] {
  const note = `${environments} sessions, ${all.processes} processes`;
  return [
    { name: "idle environment: memory (PSS)", value: all.megabytes / environments, unit: "MB", limit: 15, note },
    { name: "idle environments: CPU of them all", value: all.cpu * 100, unit: "%", note: `${restSeconds} s of rest` },
    { name: "idle environments: all running after", value: all.startedMs / 1000, unit: "s", note },
  ];
}

async function createAll(stack: LocalStack): Promise<string[]> {
  const uuids: string[] = [];
  for (let n = 0; n < environments; n += 1) {
    const { uuid } = await stack.call<{ uuid: string }>("POST", "/session/create", { user_id: `bench-${n}` });
    uuids.push(uuid);
  }
  for (const uuid of uuids) await until(() => isRunning(stack, uuid), patienceMs);
  return uuids;
}

async function isRunning(stack: LocalStack, uuid: string): Promise<true | undefined> {
  const { session } = await stack.call<{ session: { status: string } }>("GET", `/session/${uuid}/status`);
  return session.status === "running" ? true : undefined;
}

async function endAll(stack: LocalStack, uuids: readonly string[]): Promise<void> {
  for (const uuid of uuids) await stack.call("DELETE", `/session/${uuid}`);
  await until(() => (processesOf(stack.home).length === 0 ? true : undefined), patienceMs);
}

/** Those that carry the name of a run or are started for this home, and all that they have started. */
function processesOf(home: string): number[] {
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

function pssOf(pid: number): number {
  return Number(/^Pss:\s+(\d+) kB$/m.exec(read(`/proc/${pid}/smaps_rollup`))?.[1] ?? 0);
}

function ticksOf(home: string): number {
  return processesOf(home).reduce((sum, pid) => {
    const fields = read(`/proc/${pid}/stat`).split(") ").at(-1)?.split(" ") ?? [];
    return sum + Number(fields[11] ?? 0) + Number(fields[12] ?? 0);
  }, 0);
}

/** A process may end while it is being read. */
function read(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
