import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Archive } from "#core/ports/volumes.ts";
import { isBlobName, requireBlobName } from "#core/store/blob-name.ts";
import { parseIdentity, readObject } from "../runs/records.ts";
import { isAlive, type ProcessIdentity } from "../supervisor/process-identity.ts";

export interface ArchivePlaces {
  /** Directory of the Blobs port. */
  readonly blobs: string;
  readonly records: string;
}

/** If the archiver is dead and no archive exists, the archive has failed. */
export interface ArchiveRecord {
  readonly volume: string;
  readonly blob: string;
  readonly archiver: ProcessIdentity;
}

export function archiveFile({ blobs }: ArchivePlaces, blob: string): string {
  requireBlobName(blob);
  return join(blobs, blob);
}

/** Returns the path of the draft, on the file system of the finished archive. */
export function archiveDraft({ blobs }: ArchivePlaces, blob: string): string {
  return join(blobs, `.archive-${formatId(blob)}`);
}

export function readArchive(places: ArchivePlaces, blob: string): Archive | undefined {
  if (!isBlobName(blob)) return undefined;
  const record = readRecord(places, formatId(blob));
  // Check the archiver before the file: a dead archiver cannot complete the archive later.
  const isBeingMade = record !== undefined && isAlive(record.archiver);
  const found = statSync(archiveFile(places, blob), { throwIfNoEntry: false });
  if (found) return { state: "completed", bytes: found.size };
  return record && { state: isBeingMade ? "pending" : "failed", bytes: 0 };
}

export function writeArchiveRecord(places: ArchivePlaces, record: ArchiveRecord): void {
  mkdirSync(places.records, { recursive: true, mode: 0o700 });
  writeFileSync(recordFile(places, record.blob), JSON.stringify(record), { mode: 0o600 });
}

export function listArchives(places: ArchivePlaces): ArchiveRecord[] {
  const names = statSync(places.records, { throwIfNoEntry: false }) ? readdirSync(places.records) : [];
  return names.flatMap((name) => readRecord(places, name.replace(/\.json$/, "")) ?? []);
}

export function hasOtherArchiver(places: ArchivePlaces, blob: string, pid: number | undefined): boolean {
  const record = readRecord(places, formatId(blob));
  return record !== undefined && record.archiver.pid !== pid;
}

/** Deletes the draft. No archiver may be writing it. */
export function discardDraft(places: ArchivePlaces, blob: string): void {
  rmSync(archiveDraft(places, blob), { force: true });
}

const keptMs = 86_400_000;

/** Deletes old records. Their callers have long read the result. */
export function forgetOldArchives(places: ArchivePlaces, now: number): void {
  for (const { blob } of listArchives(places)) {
    const at = statSync(recordFile(places, blob), { throwIfNoEntry: false })?.mtimeMs ?? now;
    if (now - at > keptMs) forgetArchive(places, blob);
  }
}

/** Deletes the record of an archive, unless its archiver is alive. A finished zip stays. */
export function forgetArchive(places: ArchivePlaces, blob: string): void {
  const record = readRecord(places, formatId(blob));
  if (record && !isAlive(record.archiver)) rmSync(recordFile(places, blob), { force: true });
}

function recordFile({ records }: ArchivePlaces, blob: string): string {
  return join(records, `${formatId(blob)}.json`);
}

function readRecord({ records }: ArchivePlaces, id: string): ArchiveRecord | undefined {
  const { volume, blob, archiver } = readObject(records, `${id}.json`) ?? {};
  const identity = parseIdentity(archiver);
  if (typeof volume !== "string" || typeof blob !== "string" || !identity) return undefined;
  return { volume, blob, archiver: identity };
}

/** Blob names contain slashes, so records use a hash as their file name. */
function formatId(blob: string): string {
  return createHash("sha256").update(blob).digest("hex");
}
