import { accessSync, constants, existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Resources } from "#core/context.ts";

const root = "/sys/fs/cgroup";

/**
 * Where this process may make control groups that limit CPU and memory (cgroups(7), version 2), or null: then runs use
 * what they like. No process is moved for it, so a group that has some, and does not hand its controllers on, is none.
 */
export function findGroups(place = root, own = ownGroup()): string | null {
  if (own === undefined) return null;
  const parent = join(place, own);
  const groups = join(parent, "berth");
  try {
    accessSync(parent, constants.W_OK);
    if (!has(parent, "cgroup.subtree_control")) writeFileSync(join(parent, "cgroup.subtree_control"), "+cpu +memory");
    mkdirSync(groups, { recursive: true });
    if (!has(groups, "cgroup.controllers")) return null;
    writeFileSync(join(groups, "cgroup.subtree_control"), "+cpu +memory");
    return groups;
  } catch {
    return null;
  }
}

/** Makes the group of a run; false, and nothing is left, where it cannot be limited. */
export function makeGroup(group: string, resources: Resources): boolean {
  try {
    mkdirSync(group, { recursive: true });
    limitGroup(group, resources);
    return true;
  } catch {
    removeGroup(group);
    return false;
  }
}

const periodUs = 100_000;

/** Moves the limits of a group. Without swap, or what is over the limit would only be slow. */
export function limitGroup(group: string, { cpus, memoryMb }: Resources): void {
  writeFileSync(join(group, "memory.max"), String(memoryMb * 1024 * 1024));
  writeFileSync(join(group, "cpu.max"), `${Math.round(cpus * periodUs)} ${periodUs}`);
  if (existsSync(join(group, "memory.swap.max"))) writeFileSync(join(group, "memory.swap.max"), "0");
}

/** Whether a run is limited now. */
export function isLimited(group: string | null): boolean {
  return group !== null && existsSync(join(group, "memory.max"));
}

/** How many processes of the group the kernel has killed at its limit. */
export function countGroupOomKills(group: string): number {
  try {
    return Number(/^oom_kill (\d+)$/m.exec(readFileSync(join(group, "memory.events"), "utf8"))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

/** Nothing happens while something in it lives, or when it is gone. */
export function removeGroup(group: string | null): void {
  if (group === null) return;
  try {
    rmdirSync(group);
  } catch {
    return;
  }
}

/**
 * The words that run a program in a group, from its first instruction on: whoever writes 0 is moved himself. Where that
 * fails nothing is run.
 */
export function inGroup(group: string | null, words: readonly string[]): string[] {
  if (group === null) return [...words];
  return ["/bin/sh", "-c", 'echo 0 > "$0/cgroup.procs" && exec "$@"', group, ...words];
}

/** The group of this process in the one hierarchy of version 2, which has number 0. */
function ownGroup(): string | undefined {
  try {
    return /^0::(\/.*)$/m.exec(readFileSync("/proc/self/cgroup", "utf8"))?.[1];
  } catch {
    return undefined;
  }
}

function has(group: string, file: string): boolean {
  const names = readFileSync(join(group, file), "utf8").trim().split(/\s+/);
  return names.includes("cpu") && names.includes("memory");
}
