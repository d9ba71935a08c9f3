import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { findInstanceType } from "#core/fleet.ts";
import type { Resources, Run } from "#core/ports/compute.ts";
import { enteringUser } from "../network/network.ts";
import type { Isolation } from "../runs/records.ts";
import {
  type Bounds,
  type ControlGroup,
  countGroupOomKills,
  findControlGroups,
  groupIn,
  inGroup,
  limitGroup,
  makeGroup,
  readLimits,
  removeGroup,
  stopForks,
} from "./control-groups.ts";
import { systemPath } from "./local-path.ts";
import {
  findRlimits,
  findUserLimits,
  ownHardLimit,
  type Rlimits,
  type RlimitWay,
  rlimitCommand,
  systemProgram,
  type UserLimits,
} from "./rlimits.ts";

/** Mechanism that limits runs here: control groups, else resource limits (getrlimit(2)), else none. */
export interface LimitWay {
  /** Most processes and threads in one machine of a run. */
  readonly processes: number;
  readonly groups: ControlGroup | null;
  readonly rlimits: RlimitWay | null;
  readonly user?: UserLimits | undefined;
}

export interface RunLimits {
  readonly group: ControlGroup | null;
  readonly rlimits: Rlimits | null;
  /** Per-process limits that apply in addition. Records of older releases have none. */
  readonly user?: UserLimits | undefined;
  readonly bounds: Bounds;
}

export const noLimits: RunLimits = {
  group: null,
  rlimits: null,
  bounds: { cpus: null, memoryMb: null, processes: 0 },
};

export function findLimits(isolation: Isolation, groups = findControlGroups()): LimitWay {
  const processes = Math.max(leastProcesses, processesPerCpu * availableParallelism());
  return { processes, groups, rlimits: groups ? null : findRlimits(isolation), user: findUserLimits() };
}

export function computeLimits(run: Run, name: string, { groups, rlimits, processes, user }: LimitWay): RunLimits {
  const bounds = getBounds(run.resources ?? getShare(run), run.shares.length, processes);
  const group = groups && groupIn(groups, `berth-${name}`);
  return { group, rlimits: rlimits && getRlimits(getBounds(getShare(run), 1, processes), rlimits), user, bounds };
}

/** Creates the control group. Limits that cannot be set are missing in the result. */
export function makeLimits(limits: RunLimits): RunLimits {
  return limits.group ? { ...limits, group: makeGroup(limits.group, limits.bounds) } : limits;
}

/** Changes the limits of a living run of one machine. Resource limits of its processes stay at the granted share. */
export function moveLimits({ group, bounds }: RunLimits, resources: Resources): void {
  if (group) limitGroup(group, getBounds(resources, 1, bounds.processes));
}

/** Prevents new processes. Call this before killing a run. */
export function closeLimits({ group }: RunLimits): void {
  if (group) stopForks(group);
}

const dyingMs = 1_000;

/** Removes the control group of a dead run. A killed process leaves its group a moment later. */
export async function removeLimits({ group }: RunLimits, withinMs = dyingMs): Promise<void> {
  const end = performance.now() + withinMs;
  while (group && !removeGroup(group) && performance.now() < end) await sleep(5);
}

export function isOverMemory({ group }: RunLimits): boolean {
  return group !== null && countGroupOomKills(group) > 0;
}

/** Returns a command that runs `words` in the control group. `handedOn` goes behind bubblewrap in a sandbox. */
export function limited({ group }: RunLimits, words: readonly string[]): string[] {
  return group ? inGroup(group, words) : [...words];
}

/** Niceness of runs (nice(1)), so that the stack can end runs that use every processor. */
const niceness = 5;

/** Returns the prefix that sets niceness and resource limits, inside the sandbox if there is one. */
export function handedOn({ rlimits, user }: RunLimits): string[] {
  return [
    systemProgram("nice"),
    "-n",
    String(niceness),
    ...rlimitCommand(rlimits ?? { memoryMb: null, processes: null }, user),
  ];
}

/** Describes the limits in force, such as `cgroup-v2 (memory, cpu, processes)` or `none`. */
export function describeRunLimits({ group, rlimits }: RunLimits): string {
  if (group) return groupInWords(group.version, readLimits(group));
  if (!rlimits) return "none";
  const memory = rlimits.memoryMb === null ? [] : [ofEachProcess];
  return describeLimits("rlimit", [...memory, ...(rlimits.processes === null ? [] : ["processes"])], []);
}

export function describeLimitWay({ groups, rlimits }: Pick<LimitWay, "groups" | "rlimits">): string {
  if (groups) {
    const usable = Object.keys(groups.places).map((controller) => [controller, "held"]);
    return groupInWords(groups.version, Object.fromEntries(usable));
  }
  const held = [...(rlimits?.memory ? [ofEachProcess] : []), ...(rlimits?.processes ? ["processes"] : [])];
  return describeLimits("rlimit", held, []);
}

const ofEachProcess = "memory of each process";
const wordByKey = { memory: "memory", cpu: "cpu", pids: "processes" } as const;

function groupInWords(version: number, limits: ReturnType<typeof readLimits>): string {
  const named = (state: "held" | "all") => {
    return (["memory", "cpu", "pids"] as const).filter((name) => limits[name] === state).map((name) => wordByKey[name]);
  };
  return describeLimits(`cgroup-v${version}`, named("held"), named("all"));
}

/** The machine's own memory and processors do not count as a limit. */
function describeLimits(form: string, held: readonly string[], all: readonly string[]): string {
  if (held.length === 0) return "none";
  const rest = all.length > 0 ? `; ${all.join(" and ")}: all that this machine has` : "";
  return `${form} (${held.join(", ")}${rest})`;
}

/** Data loaders, builds and browsers need fewer, and a fork bomb of this size leaves processors for other runs. */
const leastProcesses = 1_024;
const processesPerCpu = 64;

function getBounds({ cpus, memoryMb }: Resources, machines: number, processes: number): Bounds {
  const here = thisMachine();
  return {
    cpus: cpus * machines < here.cpus ? cpus * machines : null,
    memoryMb: memoryMb * machines < here.memoryMb ? Math.floor(memoryMb * machines) : null,
    processes: processes * machines,
  };
}

/** Returns the granted part of the instance type. Memory is proportional to the granted units or GPUs. */
function getShare({ instanceType, shares, gpusPerMachine }: Run): Resources {
  const type = findInstanceType(instanceType);
  if (!type) return { cpus: Number.POSITIVE_INFINITY, memoryMb: Number.POSITIVE_INFINITY };
  if (type.shared) {
    const units = shares[0]?.units ?? 1;
    return { cpus: units, memoryMb: (units * type.memoryGb * 1024) / type.vcpus };
  }
  const part = type.gpus > 0 ? gpusPerMachine / type.gpus : 1;
  return { cpus: type.vcpus * part, memoryMb: type.memoryGb * 1024 * part };
}

/** Limits of a process cannot be raised later, so they follow the granted share. */
function getRlimits({ memoryMb, processes }: Bounds, way: RlimitWay): Rlimits {
  const isMore = memoryMb !== null && memoryMb * 1024 * 1024 < ownHardLimit("Max data size");
  return {
    memoryMb: way.memory && isMore ? memoryMb : null,
    processes: way.processes && processes < ownHardLimit("Max processes") ? processes : null,
  };
}

/** Returns what this process can use; a container may have less than its machine. */
function thisMachine(): Resources {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  return { cpus: availableParallelism(), memoryMb: memory / 1024 / 1024 };
}

/** Linux has 3,072 for all sandboxes of a machine (/proc/sys/kernel/pty/max, less a reserve). */
export const mostTerminals = 256;

/** A remount resets options that it does not name. The others are those of bubblewrap. */
const options = `remount,nosuid,noexec,newinstance,ptmxmode=0666,mode=620,max=${mostTerminals}`;

/** Limits the terminals of a sandbox (devpts option `max`, which bubblewrap lacks), if the kernel allows it. */
export async function limitTerminals(pid: string): Promise<void> {
  const words = ["nsenter", "--target", pid, ...enteringUser(), "--mount", "--", "mount", "-o", options, "/dev/pts"];
  const [file = "", ...args] = words;
  const child = spawn(file, args, { cwd: "/", env: { PATH: systemPath }, stdio: "ignore" });
  await once(child, "exit").catch(() => undefined);
}
