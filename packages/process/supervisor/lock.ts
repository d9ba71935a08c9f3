import { spawn, spawnSync } from "node:child_process";
import { closeSync, fstatSync, linkSync, openSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { randomName } from "../runs/random-name.ts";
import { parseIdentity } from "../runs/records.ts";
import { readWhole } from "../runs/run-directory.ts";
import { systemPath } from "../sandbox/environment.ts";
import { findProcess, isAlive } from "./process-identity.ts";

export type Locking = "flock" | "file";

export interface Lock {
  release(): void;
}

/** The file that `flock` locks; made with the directory and never replaced. */
export const lockFile = "lock";

/** What this machine can do: util-linux's flock, which the kernel ends with its holder, or files that name it. */
export function findLocking(): Locking {
  return spawnSync("flock", ["-V"], { env: { PATH: systemPath }, stdio: "ignore" }).status === 0 ? "flock" : "file";
}

/** Takes the exclusive lock of a run's directory, for as long as this process lives or until it is released. */
export function takeLock(directory: string, locking: Locking): Lock | "busy" | "gone" {
  return locking === "flock" ? takeFlock(directory) : takeFile(directory);
}

/** The same, without standing in the way of what else this process does. */
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

/** flock(1) locks the open file that it inherits, so the lock stays with this process's descriptor when it ends. */
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

/** By the exit code of flock(1): 1 is another's. */
function toLock({ path, descriptor }: OpenLock, status: number | null): Lock | "busy" | "gone" {
  if (status === 0 && isStill(path, descriptor)) return { release: () => closeSync(descriptor) };
  closeSync(descriptor);
  if (status === 0) return "gone";
  if (status === 1) return "busy";
  throw new Error("flock could not lock the run's directory");
}

/** The directory may have been removed, and made anew, between opening its lock and getting it. */
function isStill(path: string, descriptor: number): boolean {
  const now = statSync(path, { throwIfNoEntry: false });
  const held = fstatSync(descriptor);
  return now?.ino === held.ino && now.dev === held.dev;
}

/**
 * The holder is whoever `lock.<n>` with the highest n names, while that very process lives. Taking it over from a
 * dead holder makes n + 1, by a hard link that only one of several can make and that shows the whole text at once.
 */
function takeFile(directory: string, tries = 5): Lock | "busy" | "gone" {
  const newest = unlessMissing(() => Math.max(0, ...readdirSync(directory).map(getGeneration)));
  if (newest === undefined) return "gone";
  const text = newest === 0 ? undefined : readWhole(directory, `${lockFile}.${newest}`);
  // Released since it was listed: whoever finds none now makes the first, and of two who do that only one can.
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

/** The directory may have been deleted under the lock and made anew: then the file of this name is another's. */
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
    if (error instanceof Error && "code" in error && error.code === "EEXIST") return false;
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

function unlessMissing<Result>(act: () => Result): Result | undefined {
  try {
    return act();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
