import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { discard } from "../volumes/discard.ts";
import { randomName } from "./random-name.ts";

const nameForm = /^([0-9a-f]{32})-r([1-9][0-9]{0,14})$/;

/** The name of everything that belongs to a run; throws for a uid or a number that no run can have. */
export function runName(uid: string, run: number): string {
  const name = `${uid}-r${run}`;
  if (!nameForm.test(name)) throw new Error("Not a run: the uid must be 32 hex digits, the run a positive integer");
  return name;
}

/** What a name says, or undefined for text that names no run. */
export function runOfName(name: string): { readonly uid: string; readonly run: number } | undefined {
  const [, uid, run] = nameForm.exec(name) ?? [];
  return uid === undefined ? undefined : { uid, run: Number(run) };
}

/** The names of all runs that have a directory. */
export function listRunNames(runs: string): string[] {
  return readdirSync(runs).filter((name) => nameForm.test(name));
}

export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** When the run's directory was made, in ms since the epoch; 0 when it is gone. */
export function madeAt(directory: string): number {
  return statSync(join(directory, "run.json"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** Where the command of one machine works; the only place that it may write to. */
export function workDirectory(directory: string, rank: number): string {
  return join(directory, String(rank), "work");
}

/**
 * Makes the directory of a run, whole or not at all: it appears by one rename with its record and lock in it, and
 * one that is there already stays as it is.
 */
export function makeRunDirectory(directory: string, machines: number, files: Readonly<Record<string, string>>): void {
  const draft = join(dirname(directory), `.new-${randomName()}`);
  mkdirSync(draft, { mode: 0o700 });
  for (let rank = 0; rank < machines; rank += 1)
    mkdirSync(workDirectory(draft, rank), { recursive: true, mode: 0o700 });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(draft, name), text, { mode: 0o600 });
  try {
    renameSync(draft, directory);
  } catch (error) {
    rmSync(draft, { recursive: true });
    if (!isDirectory(directory)) throw error;
  }
}

/** Ends the directory's life by one rename, then frees its space. Only the holder of its lock may call this. */
export async function deleteRunDirectory(directory: string): Promise<void> {
  await discard(takeRunDirectoryAway(directory));
}

/** Ends its life alone; answers what is left to be discarded. */
export function takeRunDirectoryAway(directory: string): string {
  const grave = join(dirname(directory), `.gone-${randomName()}`);
  renameSync(directory, grave);
  return grave;
}

const REMEMBERED_MS = 3_600_000;

/** Remembers, for an hour after it was last asked, that this run goes: it is not made again, whoever comes late. */
export function markRemoved(runs: string, name: string, now: number): void {
  const marks = join(runs, ".removed");
  mkdirSync(marks, { recursive: true, mode: 0o700 });
  for (const old of readdirSync(marks)) {
    const path = join(marks, old);
    if (now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now) > REMEMBERED_MS)
      rmSync(path, { force: true });
  }
  writeFileSync(join(marks, name), "", { mode: 0o600 });
}

export function wasRemoved(runs: string, name: string): boolean {
  return statSync(join(runs, ".removed", name), { throwIfNoEntry: false }) !== undefined;
}

/** Frees what drafts and deletions of dead processes left; drafts only when they are surely nobody's any more. */
export async function discardLeftovers(runs: string, now: number): Promise<void> {
  for (const name of readdirSync(runs)) {
    const path = join(runs, name);
    if (name.startsWith(".gone-")) await discard(path);
    if (name.startsWith(".new-") && now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now) > 60_000)
      await discard(path);
  }
}

/** Replaces one small file of a run by a rename; false when the run's directory is gone. */
export function writeWhole(directory: string, name: string, text: string): boolean {
  const draft = join(directory, `.${name}-${randomName()}`);
  try {
    writeFileSync(draft, text, { mode: 0o600 });
    renameSync(draft, join(directory, name));
    return true;
  } catch (error) {
    if (isMissing(error)) return false;
    throw error;
  }
}

/** The text of one small file of a run, or undefined. */
export function readWhole(directory: string, name: string): string | undefined {
  return readIfThere(directory, name)?.toString("utf8");
}

/** What a file of a run holds; nothing when it is not there. */
export function readBytes(directory: string, name: string): Buffer {
  return readIfThere(directory, name) ?? Buffer.alloc(0);
}

function readIfThere(directory: string, name: string): Buffer | undefined {
  try {
    return readFileSync(join(directory, name));
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}

function isMissing(error: unknown): boolean {
  return error instanceof Error && "code" in error && error.code === "ENOENT";
}
