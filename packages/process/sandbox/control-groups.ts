import { accessSync, constants, existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { findText, randomName } from "../files.ts";
import { systemPath } from "./local-path.ts";
import { probeSync } from "./probe.ts";

const controllers = ["memory", "cpu", "pids"] as const;
export type Controller = (typeof controllers)[number];

/** Control group (cgroups(7)) by controller; controllers without a directory cannot be limited. */
export interface ControlGroup {
  readonly version: 1 | 2;
  readonly places: Readonly<Partial<Record<Controller, string>>>;
}

/** Limits of a run; null means all that the machine has. */
export interface Bounds {
  readonly cpus: number | null;
  readonly memoryMb: number | null;
  readonly processes: number;
}

export interface GroupSources {
  readonly own: string;
  readonly mounts: string;
}

/**
 * Returns the group below which this process can create groups for runs, or null. It never moves existing processes, so
 * a version 2 group with processes and no delegated controllers is unusable ("no internal processes" rule).
 */
export function findControlGroups(sources = readSources(), isUsable: IsUsable = canLimit): ControlGroup | null {
  const mounts = sources.mounts.split("\n").flatMap(parseMount);
  for (const group of [...unified(sources.own, mounts), separate(sources.own, mounts)]) {
    const usable = listPlaces(group).filter(([controller, place]) => isUsable(group.version, controller, place));
    if (usable.length > 0) return { version: group.version, places: Object.fromEntries(usable) };
  }
  return null;
}

type IsUsable = (version: ControlGroup["version"], controller: Controller, place: string) => boolean;

export function groupIn({ version, places }: ControlGroup, name: string): ControlGroup {
  const named = listPlaces({ version, places }).map(([controller, place]) => [controller, join(place, name)]);
  return { version, places: Object.fromEntries(named) };
}

/** Creates the group of a run. Controllers that cannot be limited are missing in the result. */
export function makeGroup(group: ControlGroup, bounds: Bounds): ControlGroup {
  const limited = listPlaces(group).filter(([controller, place]) => {
    return unlessRefused(() => {
      mkdirSync(place, { recursive: true });
      writers[group.version][controller](place, bounds);
    });
  });
  const used = new Set(limited.map(([, place]) => place));
  for (const [, place] of listPlaces(group)) if (!used.has(place)) removePlace(place);
  return { ...group, places: Object.fromEntries(limited) };
}

export function limitGroup(group: ControlGroup, bounds: Bounds): void {
  for (const [controller, place] of listPlaces(group)) {
    if (existsSync(place)) writers[group.version][controller](place, bounds);
  }
}

/** Prevents new processes in a group, so that killing all its processes terminates. */
export function stopForks({ places: { pids } }: ControlGroup): void {
  if (pids !== undefined && existsSync(pids)) unlessRefused(() => writeFileSync(join(pids, "pids.max"), "0"));
}

/** Returns the limits in force according to the kernel: `all` means no limit below the machine's own. */
export function readLimits({ version, places }: ControlGroup): Partial<Record<Controller, "held" | "all">> {
  const found = listPlaces({ version, places }).flatMap(([controller, place]) => {
    const text = findText(join(place, limitFile[version][controller]));
    if (text === undefined) return [];
    return [[controller, isUnlimited(text) ? "all" : "held"] as const];
  });
  return Object.fromEntries(found);
}

export function countGroupOomKills({ version, places }: ControlGroup): number {
  const file = version === 2 ? "memory.events" : "memory.oom_control";
  const text = places.memory === undefined ? undefined : findText(join(places.memory, file));
  return Number(/^oom_kill (\d+)$/m.exec(text ?? "")?.[1] ?? 0);
}

/** Removes a group and reports whether it is gone. A group with living or dying processes cannot be removed yet. */
export function removeGroup({ places }: ControlGroup): boolean {
  const directories = [...new Set(Object.values(places))];
  for (const place of directories) removePlace(place);
  return !directories.some((place) => existsSync(place));
}

/** Returns a command that joins the group before it executes `words`. Writing 0 to cgroup.procs moves the writer. */
export function inGroup({ places }: ControlGroup, words: readonly string[]): string[] {
  const directories = [...new Set(Object.values(places))];
  if (directories.length === 0) return [...words];
  const joins = directories.map((_, n) => `echo 0 > "$${n}/cgroup.procs"`);
  const script = [...joins, `shift ${directories.length - 1}`, 'exec "$@"'].join(" && ");
  return ["/bin/sh", "-c", script, ...directories, ...words];
}

const limitFile = {
  1: { memory: "memory.limit_in_bytes", cpu: "cpu.cfs_quota_us", pids: "pids.max" },
  2: { memory: "memory.max", cpu: "cpu.max", pids: "pids.max" },
} as const satisfies Record<1 | 2, Record<Controller, string>>;

const periodUs = 100_000;
const getQuota = (cpus: number) => Math.round(cpus * periodUs);
const getBytes = (megabytes: number) => String(megabytes * 1024 * 1024);

type Write = (place: string, bounds: Bounds) => void;

const limitPids: Write = (place, { processes }) => writeFileSync(join(place, "pids.max"), String(processes));

/** Swap is limited too: with swap, a process over the limit would only become slow. */
const writers: Record<1 | 2, Record<Controller, Write>> = {
  1: {
    memory: (place, { memoryMb }) => {
      const [limit, withSwap] = [limitFile[1].memory, "memory.memsw.limit_in_bytes"].map((name) => join(place, name));
      const text = memoryMb === null ? "-1" : getBytes(memoryMb);
      // The combined limit may never be below the memory limit: raise it first, lower it last.
      const limitBoth = () => withSwap && existsSync(withSwap) && writeFileSync(withSwap, text);
      unlessRefused(limitBoth);
      writeFileSync(limit ?? "", text);
      unlessRefused(limitBoth);
    },
    cpu: (place, { cpus }) => {
      if (cpus !== null) writeFileSync(join(place, "cpu.cfs_period_us"), String(periodUs));
      writeFileSync(join(place, limitFile[1].cpu), cpus === null ? "-1" : String(getQuota(cpus)));
    },
    pids: limitPids,
  },
  2: {
    memory: (place, { memoryMb }) => {
      writeFileSync(join(place, limitFile[2].memory), memoryMb === null ? "max" : getBytes(memoryMb));
      if (existsSync(join(place, "memory.swap.max"))) writeFileSync(join(place, "memory.swap.max"), "0");
    },
    cpu: (place, { cpus }) => {
      writeFileSync(join(place, limitFile[2].cpu), `${cpus === null ? "max" : getQuota(cpus)} ${periodUs}`);
    },
    pids: limitPids,
  },
};

/** Version 1 reports "no limit" as a number larger than any memory. */
function isUnlimited(text: string): boolean {
  const [first = ""] = text.trim().split(/\s+/);
  return first === "max" || first === "-1" || Number(first) >= 2 ** 60;
}

interface Mount {
  readonly type: string;
  /** Group that is visible at the mount point. */
  readonly root: string;
  readonly place: string;
  readonly options: readonly string[];
}

/** Parses one line of mountinfo (proc_pid_mountinfo(5)). */
function parseMount(line: string): Mount[] {
  const [before = "", after = ""] = line.split(" - ");
  const [, , , root, place] = before.split(" ");
  const [type, , options = ""] = after.split(" ");
  if (root === undefined || place === undefined || !type?.startsWith("cgroup")) return [];
  return [{ type, root, place, options: options.split(",") }];
}

/** Returns the own group and its parent, unless the own group is limited: runs beside it would escape its limits. */
function unified(ownPath: string, mounts: readonly Mount[]): ControlGroup[] {
  const mount = mounts.find(({ type }) => type === "cgroup2");
  const path = /^0::(\/.*)$/m.exec(ownPath)?.[1];
  const directory = mount && path !== undefined ? findDirectory(mount, path) : undefined;
  if (!mount || directory === undefined) return [];
  const above = directory === mount.place || isLimitedItself(directory) ? [] : [dirname(directory)];
  return [
    ...controllersIn(directory, (controller) => wasEnabled(directory, controller)),
    ...above.flatMap((place) => controllersIn(place, () => false)),
  ];
}

function controllersIn(place: string, enable: (controller: Controller) => boolean): ControlGroup[] {
  if (!isWritable(place)) return [];
  const named = (file: string) => findText(join(place, file))?.trim().split(/\s+/) ?? [];
  const [offered, handedOn] = [named("cgroup.controllers"), named("cgroup.subtree_control")];
  const usable = controllers.filter(
    (controller) => offered.includes(controller) && (handedOn.includes(controller) || enable(controller)),
  );
  return [{ version: 2, places: Object.fromEntries(usable.map((controller) => [controller, place])) }];
}

/** Enables one controller for child groups. Enabling several in one write fails if any one of them is refused. */
function wasEnabled(place: string, controller: Controller): boolean {
  return unlessRefused(() => writeFileSync(join(place, "cgroup.subtree_control"), `+${controller}`));
}

function isLimitedItself(place: string): boolean {
  const texts = ["memory.max", "cpu.max"].map((file) => findText(join(place, file)));
  return texts.some((text) => text !== undefined && !isUnlimited(text));
}

function separate(ownPath: string, mounts: readonly Mount[]): ControlGroup {
  const found = controllers.flatMap((controller) => {
    const mount = mounts.find(({ type, options }) => type === "cgroup" && options.includes(controller));
    const line = ownPath.split("\n").find((text) => text.split(":")[1]?.split(",").includes(controller));
    const path = line?.split(":").slice(2).join(":");
    const place = mount && path !== undefined ? findDirectory(mount, path) : undefined;
    return place !== undefined && isWritable(place) ? [[controller, place] as const] : [];
  });
  return { version: 1, places: Object.fromEntries(found) };
}

function findDirectory({ root, place }: Mount, path: string): string | undefined {
  const isBelow = root === "/" || path === root || path.startsWith(`${root}/`);
  if (!isBelow || path.split("/").includes("..")) return undefined;
  return join(place, root === "/" ? path : path.slice(root.length));
}

/** Tests a limit for real: creates a group, limits it, and lets a process join. */
function canLimit(version: ControlGroup["version"], controller: Controller, place: string): boolean {
  const group = { version, places: { [controller]: join(place, `berth-try-${randomName()}`) } };
  try {
    const made = makeGroup(group, { cpus: 1, memoryMb: 1_024, processes: 16 });
    const [file = "", ...args] = inGroup(made, ["/bin/sh", "-c", ":"]);
    const canJoin = probeSync("A control group", { program: file, words: args, env: { PATH: systemPath } });
    return made.places[controller] !== undefined && canJoin;
  } finally {
    removeGroup(group);
  }
}

function readSources(): GroupSources {
  return { own: findText("/proc/self/cgroup") ?? "", mounts: findText("/proc/self/mountinfo") ?? "" };
}

function listPlaces({ places }: ControlGroup): (readonly [Controller, string])[] {
  return controllers.flatMap((controller) => {
    const place = places[controller];
    return place === undefined ? [] : [[controller, place] as const];
  });
}

function removePlace(place: string): void {
  unlessRefused(() => rmdirSync(place));
}

function isWritable(place: string): boolean {
  return unlessRefused(() => accessSync(place, constants.W_OK));
}

function unlessRefused(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}
