import { createHash } from "node:crypto";
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { randomName } from "../runs/random-name.ts";
import { readObject } from "../runs/records.ts";
import { isDirectory } from "../runs/run-directory.ts";
import { discard } from "./discard.ts";
import { sync } from "./durable.ts";

/** Whether a text has the form of a volume's id; any other names nothing, and least of all a path. */
export function isVolumeId(id: string): boolean {
  return /^vol-[0-9a-f]{16}$/.test(id);
}

export function volumeDirectory(home: string, id: string): string {
  if (!isVolumeId(id)) throw new Error("Not a volume: the id must be vol- and 16 hex digits");
  return join(home, "volumes", id);
}

/** What a run sees of a volume, and what a snapshot of it holds. Throws for an id that no volume can have. */
export function volumeData(home: string, id: string): string {
  return join(volumeDirectory(home, id), "data");
}

/** `volume.json`: written once, with the directory. The size is recorded and nothing enforces it. */
export interface VolumeRecord {
  readonly token: string;
  readonly zone: string;
  readonly sizeGb: number;
  readonly snapshot: string | null;
  /** Of the record that it was made for; absent where nobody said it. */
  readonly key?: string | undefined;
}

/** The record of a volume, or undefined when there is none of that id. */
export function readVolume(home: string, id: string): VolumeRecord | undefined {
  const record = isVolumeId(id) ? readObject(volumeDirectory(home, id), "volume.json") : undefined;
  return record as VolumeRecord | undefined;
}

export function listVolumeIds(home: string): string[] {
  return readdirSync(join(home, "volumes")).filter(isVolumeId);
}

/** The id that belongs to a token: chosen once, at random, by the first who asks, and the same after a power cut. */
export async function readVolumeId(home: string, token: string): Promise<string> {
  const file = tokenFile(home, token);
  const draft = `${file}.${randomName()}`;
  writeFileSync(draft, `vol-${randomName()}`, { mode: 0o600 });
  try {
    await sync(draft);
    linkSync(draft, file);
    await sync(dirname(file));
  } catch (error) {
    if (!hasCode(error, "EEXIST")) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  return readFileSync(file, "utf8");
}

export function forgetToken(home: string, token: string): void {
  rmSync(tokenFile(home, token), { force: true });
}

function tokenFile(home: string, token: string): string {
  return join(home, "volumes", ".tokens", createHash("sha256").update(token).digest("hex"));
}

/** A name next to those that count, for what is still being made or is to be deleted. */
function besides(parent: string, kind: "new" | "gone"): string {
  return join(parent, `.${kind}-${randomName()}`);
}

/** A draft that nobody sees, with one empty directory in it. */
export function makeDraft(parent: string, inside: string): string {
  const draft = besides(parent, "new");
  mkdirSync(join(draft, inside), { recursive: true, mode: 0o700 });
  return draft;
}

/** Shows a finished draft under its name, whole or not at all; false when that was there already. */
export function publish(draft: string, directory: string): boolean {
  try {
    renameSync(draft, directory);
    return true;
  } catch (error) {
    if (!isDirectory(directory)) throw error;
    return false;
  }
}

/** Ends a directory's life by one rename, then frees its space. Nothing happens when it is gone. */
export async function deleteDirectory(parent: string, directory: string): Promise<void> {
  const grave = besides(parent, "gone");
  try {
    renameSync(directory, grave);
  } catch (error) {
    if (hasCode(error, "ENOENT")) return;
    throw error;
  }
  await discard(grave);
}

/** Frees what drafts and deletions of an earlier process left: to be called while nobody else uses this home. */
export async function discardRemains(parent: string): Promise<void> {
  const remains = readdirSync(parent).filter((name) => /^\.(new|gone)-/.test(name));
  for (const name of remains) await discard(join(parent, name));
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}
