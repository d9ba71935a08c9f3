import { readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SnapshotTags, VolumeSnapshot } from "#core/ports/volumes.ts";
import { readObject } from "../runs/records.ts";
import { isDirectory, writeWhole } from "../runs/run-directory.ts";
import { findProcess, isAlive, type ProcessIdentity } from "../supervisor/process-identity.ts";
import { sync, syncTree } from "./durable.ts";
import { deleteDirectory, makeDraft, publish } from "./volume-directory.ts";

/** Whether a text has the form of a snapshot's id; any other names nothing, and least of all a path. */
export function isSnapshotId(id: string): boolean {
  return /^snap-[0-9a-f]{16}$/.test(id);
}

export function snapshotDirectory(home: string, id: string): string {
  if (!isSnapshotId(id)) throw new Error("Not a snapshot: the id must be snap- and 16 hex digits");
  return join(home, "snapshots", id);
}

/** `snapshot.json`: written once, with the directory. */
interface SnapshotRecord {
  readonly volume: string;
  readonly at: number;
  /** The process that copies it: when that is gone and it is not whole, it never will be. */
  readonly copier: ProcessIdentity | undefined;
}

/** Where a copy is made, and what it is called from the moment at which it is whole. */
const [unfinished, whole] = ["unfinished", "data"] as const;

/** Makes a snapshot that this process is to copy; pending until it does. Answers where the copy goes. */
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

/** The one moment at which a snapshot is completed; it is whole also after a power cut. */
export async function completeSnapshot(directory: string): Promise<void> {
  await syncTree(join(directory, unfinished));
  renameSync(join(directory, unfinished), join(directory, whole));
  await sync(directory);
}

/** What a completed snapshot holds; undefined while, or where, there is no such thing. */
export function snapshotData(home: string, id: string): string | undefined {
  const data = isSnapshotId(id) ? join(snapshotDirectory(home, id), whole) : "";
  return isDirectory(data) ? data : undefined;
}

/** A snapshot as the port shows it, and its volume. One that is not whole and that nobody copies has failed. */
export function readSnapshot(home: string, id: string): (VolumeSnapshot & { readonly volume: string }) | undefined {
  if (!isSnapshotId(id)) return undefined;
  const directory = snapshotDirectory(home, id);
  const record = readObject(directory, "snapshot.json") as SnapshotRecord | undefined;
  if (!record) return undefined;
  const { volume, at, copier } = record;
  // Looked at before what is whole: a copier that was seen gone has completed all that it ever will.
  const isCopied = isDirectory(join(directory, unfinished)) && copier !== undefined && isAlive(copier);
  const state = isDirectory(join(directory, whole)) ? "completed" : isCopied ? "pending" : "failed";
  return { id, volume, at, state, tags: readTags(directory) };
}

/** Gives an unfinished copy up, which needs no space on a full disk: a snapshot without one and not whole has failed. */
export async function failSnapshot(home: string, id: string): Promise<void> {
  await deleteDirectory(join(home, "snapshots"), join(snapshotDirectory(home, id), unfinished));
}

export function listSnapshotIds(home: string): string[] {
  return readdirSync(join(home, "snapshots")).filter(isSnapshotId);
}

/** Replaces the tags that are given; false when the snapshot is gone. */
export function writeTags(home: string, id: string, tags: Partial<SnapshotTags>): boolean {
  if (!isSnapshotId(id)) return false;
  const directory = snapshotDirectory(home, id);
  return writeWhole(directory, "tags.json", JSON.stringify({ ...readTags(directory), ...tags }));
}

function readTags(directory: string): Partial<SnapshotTags> {
  return readObject(directory, "tags.json") ?? {};
}
