import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { hasCode, randomName, unlessMissing } from "../files.ts";
import { discard } from "../volumes/discard.ts";

const nameForm = /^([0-9a-f]{32})-r([1-9][0-9]{0,14})$/;

/** Throws for a uid or a number that no run can have. */
export function runName(uid: string, run: number): string {
  const name = `${uid}-r${run}`;
  if (!nameForm.test(name)) throw new Error("Not a run: the uid must be 32 hex digits, the run a positive integer");
  return name;
}

export function runOfName(name: string): { readonly uid: string; readonly run: number } | undefined {
  const [, uid, run] = nameForm.exec(name) ?? [];
  return uid === undefined ? undefined : { uid, run: Number(run) };
}

export function listRunNames(runs: string): string[] {
  return readdirSync(runs).filter((name) => nameForm.test(name));
}

export function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/** Returns ms since the epoch; 0 if the directory is gone. */
export function madeAt(directory: string): number {
  return statSync(join(directory, "run.json"), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

export function workDirectory(directory: string, rank: number): string {
  return join(directory, String(rank), "work");
}

/** Creates a run's directory atomically, by a rename. An existing one stays unchanged. */
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

/** Renames the directory away, then frees its space. Only the holder of its lock may call this. */
export async function deleteRunDirectory(directory: string): Promise<void> {
  await discard(takeRunDirectoryAway(directory));
}

export function takeRunDirectoryAway(directory: string): string {
  const grave = join(dirname(directory), `.gone-${randomName()}`);
  renameSync(directory, grave);
  return grave;
}

const REMEMBERED_MS = 3_600_000;

/** Remembers for an hour that this run was removed, so that a late start does not create it again. */
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

/** Frees what dead processes left of drafts and deletions. Drafts count as abandoned after a minute. */
export async function discardLeftovers(runs: string, now: number): Promise<void> {
  for (const name of readdirSync(runs)) {
    const path = join(runs, name);
    if (name.startsWith(".gone-")) await discard(path);
    if (name.startsWith(".new-") && now - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? now) > 60_000)
      await discard(path);
  }
}

/** Replaces a file atomically. Returns false if the run's directory is gone. */
export function writeWhole(directory: string, name: string, text: string): boolean {
  const draft = join(directory, `.${name}-${randomName()}`);
  try {
    writeFileSync(draft, text, { mode: 0o600 });
    renameSync(draft, join(directory, name));
    return true;
  } catch (error) {
    if (hasCode(error, "ENOENT")) return false;
    throw error;
  }
}

export function readWhole(directory: string, name: string): string | undefined {
  return unlessMissing(() => readFileSync(join(directory, name), "utf8"));
}

export function readBytes(directory: string, name: string): Buffer {
  return unlessMissing(() => readFileSync(join(directory, name))) ?? Buffer.alloc(0);
}
