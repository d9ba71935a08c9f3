import { createHash } from "node:crypto";
import { linkSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { hasCode, randomName } from "../files.ts";
import { readEnd, readObject, readRun } from "../runs/records.ts";
import { isDirectory } from "../runs/run-directory.ts";
import { discard } from "./discard.ts";
import { sync } from "./durable.ts";

/** Reports whether a text has the form of a volume id. Check this before using it in a path. */
export function isVolumeId(id: string): boolean {
  return /^vol-[0-9a-f]{16}$/.test(id);
}

export function volumeDirectory(home: string, id: string): string {
  if (!isVolumeId(id)) throw new Error("Not a volume: the id must be vol- and 16 hex digits");
  return join(home, "volumes", id);
}

export function volumeData(home: string, id: string): string {
  return join(volumeDirectory(home, id), "data");
}

/** Returns the directories of the volumes that a run still has. After its end, other runs may have them. */
export function heldVolumes(runDirectory: string): string[] {
  const home = dirname(dirname(runDirectory));
  return readEnd(runDirectory) ? [] : (readRun(runDirectory)?.volumes ?? []).map((id) => volumeData(home, id));
}

/** The size is not enforced. */
export interface VolumeRecord {
  readonly token: string;
  readonly zone: string;
  readonly sizeGb: number;
  readonly snapshot: string | null;
  /** Absent if the creator named no record. */
  readonly key?: string | undefined;
}

export function readVolume(home: string, id: string): VolumeRecord | undefined {
  const record = isVolumeId(id) ? readObject(volumeDirectory(home, id), "volume.json") : undefined;
  return record as VolumeRecord | undefined;
}

export function listVolumeIds(home: string): string[] {
  return readdirSync(join(home, "volumes")).filter(isVolumeId);
}

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

function besides(parent: string, kind: "new" | "gone"): string {
  return join(parent, `.${kind}-${randomName()}`);
}

export function makeDraft(parent: string, inside: string): string {
  const draft = besides(parent, "new");
  mkdirSync(join(draft, inside), { recursive: true, mode: 0o700 });
  return draft;
}

/** Returns false if the directory already exists. */
export function publish(draft: string, directory: string): boolean {
  try {
    renameSync(draft, directory);
    return true;
  } catch (error) {
    if (!isDirectory(directory)) throw error;
    return false;
  }
}

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

/** Frees leftovers of an earlier process. No other process may use this home. */
export async function discardRemains(parent: string): Promise<void> {
  const remains = readdirSync(parent).filter((name) => /^\.(new|gone)-/.test(name));
  for (const name of remains) await discard(join(parent, name));
}
