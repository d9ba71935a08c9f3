import { availableParallelism, totalmem } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { findInstanceType } from "#core/fleet.ts";
import type { Resources, Run } from "#core/ports/compute.ts";
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

/** How runs are limited on this machine: by control groups, else by what a process hands on, else not. */
export interface LimitWay {
  /** In one machine of a run at once, threads too. */
  readonly processes: number;
  readonly groups: ControlGroup | null;
  readonly rlimits: RlimitWay | null;
  readonly user?: UserLimits | undefined;
}

/** How one run is limited. */
export interface RunLimits {
  readonly group: ControlGroup | null;
  readonly rlimits: Rlimits | null;
  /** Holds whatever else limits the run. A run of older code has none. */
  readonly user?: UserLimits | undefined;
  readonly bounds: Bounds;
}

export const noLimits: RunLimits = {
  group: null,
  rlimits: null,
  bounds: { cpus: null, memoryMb: null, processes: 0 },
};

/** The first way that works here. */
export function findLimits(isolation: Isolation, groups = findControlGroups()): LimitWay {
  const processes = Math.max(leastProcesses, processesPerCpu * availableParallelism());
  return { processes, groups, rlimits: groups ? null : findRlimits(isolation), user: findUserLimits() };
}

/** The limits of a run of this name, in this way. */
export function computeLimits(run: Run, name: string, { groups, rlimits, processes, user }: LimitWay): RunLimits {
  const bounds = getBounds(run.resources ?? getShare(run), run.shares.length, processes);
  const group = groups && groupIn(groups, `berth-${name}`);
  return { group, rlimits: rlimits && getRlimits(getBounds(getShare(run), 1, processes), rlimits), user, bounds };
}

/** Makes what it takes; what cannot be made limits nothing, which the run then shows. */
export function makeLimits(limits: RunLimits): RunLimits {
  return limits.group ? { ...limits, group: makeGroup(limits.group, limits.bounds) } : limits;
}

/** Moves the limits of a living run of one machine; what each process may have is the share that it was granted. */
export function moveLimits({ group, bounds }: RunLimits, resources: Resources): void {
  if (group) limitGroup(group, getBounds(resources, 1, bounds.processes));
}

/** To be called before a run is killed: nothing in it starts anything any more. */
export function closeLimits({ group }: RunLimits): void {
  if (group) stopForks(group);
}

const dyingMs = 1_000;

/** To be called once nothing of the run is seen any more: what was killed leaves its group a moment later. */
export async function removeLimits({ group }: RunLimits, withinMs = dyingMs): Promise<void> {
  const end = performance.now() + withinMs;
  while (group && !removeGroup(group) && performance.now() < end) await sleep(5);
}

/** Whether the kernel has killed some of the run for using more memory than it may. */
export function isOverMemory({ group }: RunLimits): boolean {
  return group !== null && countGroupOomKills(group) > 0;
}

/** The words that run a program within the limits of its run; in a sandbox `handedOn` comes after what makes that. */
export function limited({ group }: RunLimits, words: readonly string[]): string[] {
  return group ? inGroup(group, words) : [...words];
}

/** Niceness of runs (nice(1)): the stack, which ends them, comes first where they take every processor. */
const niceness = 5;

/** The words that go before a program, inside the sandbox if there is one. */
export function handedOn({ rlimits, user }: RunLimits): string[] {
  return [
    systemProgram("nice"),
    "-n",
    String(niceness),
    ...rlimitCommand(rlimits ?? { memoryMb: null, processes: null }, user),
  ];
}

/** What limits a run now, and of what: `cgroup-v2 (memory, cpu, processes)`, `none`. */
export function describeRunLimits({ group, rlimits }: RunLimits): string {
  if (group) return groupInWords(group.version, readLimits(group));
  if (!rlimits) return "none";
  const memory = rlimits.memoryMb === null ? [] : [ofEachProcess];
  return describeLimits("rlimit", [...memory, ...(rlimits.processes === null ? [] : ["processes"])], []);
}

/** The same of all runs: what can be limited here. */
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

/** A machine's own memory and processors are no limit, and are said not to be one. */
function describeLimits(form: string, held: readonly string[], all: readonly string[]): string {
  if (held.length === 0) return "none";
  const rest = all.length > 0 ? `; ${all.join(" and ")}: all that this machine has` : "";
  return `${form} (${held.join(", ")}${rest})`;
}

/**
 * More than data loaders, a build or a browser take, whose threads go with the machine's processors, and no more than
 * those can still be shared with others while all of them start others without end.
 */
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

/** What one machine of a run was granted of its type: as large a part of its memory as of its units. */
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

/** A limit of each process is set once, so it is that of the share: what is resized stays within that. */
function getRlimits({ memoryMb, processes }: Bounds, way: RlimitWay): Rlimits {
  const isMore = memoryMb !== null && memoryMb * 1024 * 1024 < ownHardLimit("Max data size");
  return {
    memoryMb: way.memory && isMore ? memoryMb : null,
    processes: way.processes && processes < ownHardLimit("Max processes") ? processes : null,
  };
}

/** What there is for this process: a container may have less than its machine. */
function thisMachine(): Resources {
  const memory = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
  return { cpus: availableParallelism(), memoryMb: memory / 1024 / 1024 };
}
