import { readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SnapshotTags, VolumeSnapshot } from "#core/ports/volumes.ts";
import { readObject } from "../runs/records.ts";
import { isDirectory, writeWhole } from "../runs/run-directory.ts";
import { findProcess, isAlive, type ProcessIdentity } from "../supervisor/process-identity.ts";
import { sync, syncTree } from "./durable.ts";
import { deleteDirectory, makeDraft, publish } from "./volume-directory.ts";

/** Reports whether a text has the form of a snapshot id. Check this before using it in a path. */
export function isSnapshotId(id: string): boolean {
  return /^snap-[0-9a-f]{16}$/.test(id);
}

export function snapshotDirectory(home: string, id: string): string {
  if (!isSnapshotId(id)) throw new Error("Not a snapshot: the id must be snap- and 16 hex digits");
  return join(home, "snapshots", id);
}

interface SnapshotRecord {
  readonly volume: string;
  readonly at: number;
  /** Copying process. If it is dead and the copy is incomplete, the snapshot has failed. */
  readonly copier: ProcessIdentity | undefined;
}

const [unfinished, whole] = ["unfinished", "data"] as const;

/** Creates a pending snapshot that this process will copy. Returns the target of the copy. */
export async function beginSnapshot(
  home: string,
  id: string,
  volume: string,
  tags: SnapshotTags,
  at: number,
): Promise<string> {
  const directory = snapshotDirectory(home, id);
  const draft = makeDraft(join(home, "snapshots"), unfinished);
  const record: SnapshotRecord = { volume, at, copier: findProcess(process.pid) };
  const files = { "snapshot.json": record, "tags.json": tags };
  for (const [name, content] of Object.entries(files)) {
    writeFileSync(join(draft, name), JSON.stringify(content), { mode: 0o600 });
    await sync(join(draft, name));
  }
  await sync(draft);
  publish(draft, directory);
  await sync(join(home, "snapshots"));
  return join(directory, unfinished);
}

/** Completes a snapshot by a rename, after its data is safe from a power cut. */
export async function completeSnapshot(directory: string): Promise<void> {
  await syncTree(join(directory, unfinished));
  renameSync(join(directory, unfinished), join(directory, whole));
  await sync(directory);
}

export function snapshotData(home: string, id: string): string | undefined {
  const data = isSnapshotId(id) ? join(snapshotDirectory(home, id), whole) : "";
  return isDirectory(data) ? data : undefined;
}

/** A snapshot that is neither complete nor being copied has failed. */
export function readSnapshot(home: string, id: string): (VolumeSnapshot & { readonly volume: string }) | undefined {
  if (!isSnapshotId(id)) return undefined;
  const directory = snapshotDirectory(home, id);
  const record = readObject(directory, "snapshot.json") as SnapshotRecord | undefined;
  if (!record) return undefined;
  const { volume, at, copier } = record;
  // Check the copier before the finished copy: a dead copier cannot complete the snapshot later.
  const isCopied = isDirectory(join(directory, unfinished)) && copier !== undefined && isAlive(copier);
  const state = isDirectory(join(directory, whole)) ? "completed" : isCopied ? "pending" : "failed";
  return { id, volume, at, state, tags: readTags(directory) };
}

/** Makes a snapshot fail by deleting its copy, which needs no space on a full disk. */
export async function failSnapshot(home: string, id: string): Promise<void> {
  await deleteDirectory(join(home, "snapshots"), join(snapshotDirectory(home, id), unfinished));
}

export function listSnapshotIds(home: string): string[] {
  return readdirSync(join(home, "snapshots")).filter(isSnapshotId);
}

/** Returns false if the snapshot does not exist. */
export function writeTags(home: string, id: string, tags: Partial<SnapshotTags>): boolean {
  if (!isSnapshotId(id)) return false;
  const directory = snapshotDirectory(home, id);
  return writeWhole(directory, "tags.json", JSON.stringify({ ...readTags(directory), ...tags }));
}

function readTags(directory: string): Partial<SnapshotTags> {
  return readObject(directory, "tags.json") ?? {};
}
