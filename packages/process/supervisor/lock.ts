import { spawn, spawnSync } from "node:child_process";
import { closeSync, fstatSync, linkSync, openSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { hasCode, randomName, unlessMissing } from "../files.ts";
import { parseIdentity } from "../runs/records.ts";
import { readWhole } from "../runs/run-directory.ts";
import { systemPath } from "../sandbox/local-path.ts";
import { findProcess, isAlive } from "./process-identity.ts";

export type Locking = "flock" | "file";

export interface Lock {
  release(): void;
}

/** Created with the directory and never replaced. */
export const lockFile = "lock";

/** Prefers flock of util-linux, which the kernel releases with its holder. */
export function findLocking(): Locking {
  return spawnSync("flock", ["-V"], { env: { PATH: systemPath }, stdio: "ignore" }).status === 0 ? "flock" : "file";
}

export function takeLock(directory: string, locking: Locking): Lock | "busy" | "gone" {
  return locking === "flock" ? takeFlock(directory) : takeFile(directory);
}

/** Does not block the event loop. */
export async function takeLockInTurn(directory: string, locking: Locking): Promise<Lock | "busy" | "gone"> {
  if (locking === "file") return takeFile(directory);
  const held = openLock(directory);
  if (!held) return "gone";
  const child = spawn("flock", ["-n", "-x", "3"], flockOptions(held.descriptor));
  const status = await new Promise<number | null>((resolve) =>
    child.once("exit", resolve).once("error", () => resolve(null)),
  );
  return toLock(held, status);
}

/** flock(1) locks the open file that it inherits, so this process's descriptor keeps the lock after flock(1) exits. */
function takeFlock(directory: string): Lock | "busy" | "gone" {
  const held = openLock(directory);
  if (!held) return "gone";
  return toLock(held, spawnSync("flock", ["-n", "-x", "3"], flockOptions(held.descriptor)).status);
}

interface OpenLock {
  readonly path: string;
  readonly descriptor: number;
}

function openLock(directory: string): OpenLock | undefined {
  const path = join(directory, lockFile);
  const descriptor = unlessMissing(() => openSync(path, "r+"));
  return descriptor === undefined ? undefined : { path, descriptor };
}

function flockOptions(descriptor: number): { env: Record<string, string>; stdio: ("ignore" | number)[] } {
  return { env: { PATH: systemPath }, stdio: ["ignore", "ignore", "ignore", descriptor] };
}

/** Exit code 1 means that another process holds the lock. */
function toLock({ path, descriptor }: OpenLock, status: number | null): Lock | "busy" | "gone" {
  if (status === 0 && isStill(path, descriptor)) return { release: () => closeSync(descriptor) };
  closeSync(descriptor);
  if (status === 0) return "gone";
  if (status === 1) return "busy";
  throw new Error("flock could not lock the run's directory");
}

/** The directory may have been replaced between open and lock. */
function isStill(path: string, descriptor: number): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  const held = fstatSync(descriptor);
  return now?.ino === held.ino && now.dev === held.dev;
}

/**
 * Takes a lock by file: the holder is the living process named in the highest `lock.<n>`. A hard link creates n + 1
 * with its whole text, and only one of several processes can create it.
 */
function takeFile(directory: string, tries = 5): Lock | "busy" | "gone" {
  const newest = unlessMissing(() => Math.max(0, ...readdirSync(directory).map(getGeneration)));
  if (newest === undefined) return "gone";
  const text = newest === 0 ? undefined : readWhole(directory, `${lockFile}.${newest}`);
  // The lock was released after the listing. Try again; only one process can create the first file.
  if (newest > 0 && text === undefined) return tries > 1 ? takeFile(directory, tries - 1) : "busy";
  const holder = parseIdentity(readJson(text));
  if (holder && isAlive(holder)) return "busy";
  const draft = join(directory, `.${lockFile}-${randomName()}`);
  const mine = join(directory, `${lockFile}.${newest + 1}`);
  const made = unlessMissing(() => {
    writeFileSync(draft, JSON.stringify(findProcess(process.pid)), { mode: 0o600 });
    return linkOnce(draft, mine) ? statSync(mine).ino : 0;
  });
  rmSync(draft, { force: true });
  if (made === undefined) return "gone";
  return made === 0 ? "busy" : { release: () => releaseFile(mine, made) };
}

/** Deletes the lock file, unless the directory was replaced under the lock and the file is another process's. */
function releaseFile(path: string, inode: number): void {
  if (statSync(path, { throwIfNoEntry: false })?.ino === inode) rmSync(path);
}

function getGeneration(name: string): number {
  return Number(/^lock\.([0-9]{1,15})$/.exec(name)?.[1] ?? 0);
}

function linkOnce(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, "EEXIST")) return false;
    throw error;
  }
}

function readJson(text: string | undefined): unknown {
  try {
    return JSON.parse(text ?? "null");
  } catch {
    return undefined;
  }
}
