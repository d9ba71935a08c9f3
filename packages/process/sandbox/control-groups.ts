import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { randomName } from "../runs/random-name.ts";
import { systemPath } from "./environment.ts";
import { worksHere } from "./works-here.ts";

const controllers = ["memory", "cpu", "pids"] as const;
export type Controller = (typeof controllers)[number];

/**
 * A control group (cgroups(7)) by what limits there: version 2 has one directory for all, version 1 one for each. What
 * cannot be limited has no place.
 */
export interface ControlGroup {
  readonly version: 1 | 2;
  readonly places: Readonly<Partial<Record<Controller, string>>>;
}

/** What a run may use; null: all that this machine has. */
export interface Bounds {
  readonly cpus: number | null;
  readonly memoryMb: number | null;
  readonly processes: number;
}

/** What the kernel says of this process: /proc/self/cgroup and /proc/self/mountinfo. */
export interface GroupSources {
  readonly own: string;
  readonly mounts: string;
}

/**
 * Where this process may make the groups of runs, or null. No process of anybody's is moved for it, so a group of
 * version 2 that has some, and does not hand its controllers on, is none (they have no inner processes).
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

/** The group of this name in those places. */
export function groupIn({ version, places }: ControlGroup, name: string): ControlGroup {
  const named = listPlaces({ version, places }).map(([controller, place]) => [controller, join(place, name)]);
  return { version, places: Object.fromEntries(named) };
}

/** Makes the group of a run; what is answered has no place for what cannot be limited, and nothing is left of that. */
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

/** Moves the limits of a group; nothing happens where it is gone. */
export function limitGroup(group: ControlGroup, bounds: Bounds): void {
  for (const [controller, place] of listPlaces(group)) {
    if (existsSync(place)) writers[group.version][controller](place, bounds);
  }
}

/** Lets nothing in a group start anything any more, so that who kills all of it comes to an end. */
export function stopForks({ places: { pids } }: ControlGroup): void {
  if (pids !== undefined && existsSync(pids)) unlessRefused(() => writeFileSync(join(pids, "pids.max"), "0"));
}

/** What a group limits now, as the kernel has it: `all` where there is no more to be had than there is. */
export function readLimits({ version, places }: ControlGroup): Partial<Record<Controller, "held" | "all">> {
  const found = listPlaces({ version, places }).flatMap(([controller, place]) => {
    const text = findText(join(place, limitFile[version][controller]));
    if (text === undefined) return [];
    return [[controller, isUnlimited(text) ? "all" : "held"] as const];
  });
  return Object.fromEntries(found);
}

/** How many processes of the group the kernel has killed at its limit. */
export function countGroupOomKills({ version, places }: ControlGroup): number {
  const file = version === 2 ? "memory.events" : "memory.oom_control";
  const text = places.memory === undefined ? undefined : findText(join(places.memory, file));
  return Number(/^oom_kill (\d+)$/m.exec(text ?? "")?.[1] ?? 0);
}

/** Whether nothing is left of it: something in it may live, or be in its last moment. */
export function removeGroup({ places }: ControlGroup): boolean {
  const directories = [...new Set(Object.values(places))];
  for (const place of directories) removePlace(place);
  return !directories.some((place) => existsSync(place));
}

/**
 * The words that run a program in a group, from its first instruction on: whoever writes 0 is moved himself. Where that
 * fails nothing is run.
 */
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

/** Without swap, or what is over the limit would only be slow. */
const writers: Record<1 | 2, Record<Controller, Write>> = {
  1: {
    memory: (place, { memoryMb }) => {
      const [limit, withSwap] = [limitFile[1].memory, "memory.memsw.limit_in_bytes"].map((name) => join(place, name));
      const text = memoryMb === null ? "-1" : getBytes(memoryMb);
      // It is never below the limit, so one of the two has to be first, by whether they rise or fall.
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

/** Version 1 has a number for it that no machine has bytes for. */
function isUnlimited(text: string): boolean {
  const [first = ""] = text.trim().split(/\s+/);
  return first === "max" || first === "-1" || Number(first) >= 2 ** 60;
}

interface Mount {
  readonly type: string;
  /** The group that is seen at its place. */
  readonly root: string;
  readonly place: string;
  readonly options: readonly string[];
}

/** One line of mountinfo (proc_pid_mountinfo(5)). */
function parseMount(line: string): Mount[] {
  const [before = "", after = ""] = line.split(" - ");
  const [, , , root, place] = before.split(" ");
  const [type, , options = ""] = after.split(" ");
  if (root === undefined || place === undefined || !type?.startsWith("cgroup")) return [];
  return [{ type, root, place, options: options.split(",") }];
}

/**
 * Version 2: its own group, or the one above where that hands controllers on. Beside its own a run would not be held to
 * what limits that, so nothing may.
 */
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

/** One by one: those that may not be handed on do not keep the others. */
function wasEnabled(place: string, controller: Controller): boolean {
  return unlessRefused(() => writeFileSync(join(place, "cgroup.subtree_control"), `+${controller}`));
}

function isLimitedItself(place: string): boolean {
  const texts = ["memory.max", "cpu.max"].map((file) => findText(join(place, file)));
  return texts.some((text) => text !== undefined && !isUnlimited(text));
}

/** Version 1: below its own group of each controller. */
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

/** Where a group is seen; undefined for one outside of what is mounted. */
function findDirectory({ root, place }: Mount, path: string): string | undefined {
  const isBelow = root === "/" || path === root || path.startsWith(`${root}/`);
  if (!isBelow || path.split("/").includes("..")) return undefined;
  return join(place, root === "/" ? path : path.slice(root.length));
}

/** By doing it: makes a group, limits it, and has a process join. */
function canLimit(version: ControlGroup["version"], controller: Controller, place: string): boolean {
  const group = { version, places: { [controller]: join(place, `berth-try-${randomName()}`) } };
  try {
    const made = makeGroup(group, { cpus: 1, memoryMb: 1_024, processes: 16 });
    const [file = "", ...args] = inGroup(made, ["/bin/sh", "-c", ":"]);
    const canJoin = worksHere("A control group", { program: file, words: args, env: { PATH: systemPath } });
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

function findText(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

/** Whether it could be done. */
function unlessRefused(act: () => unknown): boolean {
  try {
    act();
    return true;
  } catch {
    return false;
  }
}
