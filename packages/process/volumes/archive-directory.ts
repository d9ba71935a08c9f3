import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Archive } from "#core/ports/volumes.ts";
import { isBlobName, requireBlobName } from "#core/store/blob-name.ts";
import { parseIdentity, readObject } from "../runs/records.ts";
import { isAlive, type ProcessIdentity } from "../supervisor/process-identity.ts";

/** Where archives go, and where what is known of them is kept. */
export interface ArchivePlaces {
  /** The directory of Blobs: a name there is a path in it. */
  readonly blobs: string;
  /** One record for each archive that was begun. */
  readonly records: string;
}

/** Which process makes an archive: when that is gone and there is no archive, there never will be. */
export interface ArchiveRecord {
  readonly volume: string;
  readonly blob: string;
  readonly archiver: ProcessIdentity;
}

export function archiveFile({ blobs }: ArchivePlaces, blob: string): string {
  requireBlobName(blob);
  return join(blobs, blob);
}

/** Where it is made, on the same file system as where it goes. */
export function archiveDraft({ blobs }: ArchivePlaces, blob: string): string {
  return join(blobs, `.archive-${formatId(blob)}`);
}

/** An archive as the port shows it. */
export function readArchive(places: ArchivePlaces, blob: string): Archive | undefined {
  if (!isBlobName(blob)) return undefined;
  const record = readRecord(places, formatId(blob));
  // Looked at before what is whole: an archiver that was seen gone has made all that it ever will.
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

/** Whether the archive of this name is another process's to make. */
export function hasOtherArchiver(places: ArchivePlaces, blob: string, pid: number | undefined): boolean {
  const record = readRecord(places, formatId(blob));
  return record !== undefined && record.archiver.pid !== pid;
}

/** What is left of an archive that was not made: nobody may be making it any more. */
export function discardDraft(places: ArchivePlaces, blob: string): void {
  rmSync(archiveDraft(places, blob), { force: true });
}

const keptMs = 86_400_000;

/** Forgets what became of old archives: by then whoever asked has been told. */
export function forgetOldArchives(places: ArchivePlaces, now: number): void {
  for (const { blob } of listArchives(places)) {
    const at = statSync(recordFile(places, blob), { throwIfNoEntry: false })?.mtimeMs ?? now;
    if (now - at > keptMs) forgetArchive(places, blob);
  }
}

/** Forgets what became of an archive, unless somebody still makes it. A zip that is whole stays. */
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

/** A file name for any text. */
function formatId(blob: string): string {
  return createHash("sha256").update(blob).digest("hex");
}
