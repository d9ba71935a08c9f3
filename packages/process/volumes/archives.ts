import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Log } from "#core/ports/log.ts";
import type { Archive } from "#core/ports/volumes.ts";
import { isBlobName, requireBlobName } from "#core/store/blob-name.ts";
import { parseIdentity, readObject } from "../runs/records.ts";
import { compileCache, systemPath } from "../sandbox/local-path.ts";
import { findChild, isAlive, type ProcessIdentity, signalProcess } from "../supervisor/process-identity.ts";

const program = fileURLToPath(new URL("./archiver.ts", import.meta.url));

interface ArchiveRequest {
  readonly home: string;
  readonly places: ArchivePlaces;
  readonly volume: string;
  readonly directory: string;
  readonly blob: string;
  readonly log: Log | undefined;
}

/** Zips in another process, because volumes may be large. Synchronous, so that only one of two calls starts it. */
export function beginArchive(request: ArchiveRequest): void {
  const { home, places, volume, directory, blob } = request;
  const file = archiveFile(places, blob);
  if (readArchive(places, blob)) return;
  mkdirSync(places.blobs, { recursive: true, mode: 0o700 });
  const child = spawn(process.execPath, [program, directory, archiveDraft(places, blob), file], {
    cwd: "/",
    env: { PATH: systemPath, NODE_COMPILE_CACHE: compileCache(home) },
    stdio: ["ignore", "pipe", "ignore"],
  });
  follow(request, child);
  const archiver = child.pid === undefined ? undefined : findChild(child.pid);
  if (!archiver) throw new Error("The archiver could not be started");
  writeArchiveRecord(places, { volume, blob, archiver });
}

function follow({ places, blob, log }: ArchiveRequest, child: ChildProcess): void {
  let skipped = "";
  child.stdout?.on("data", (part) => {
    skipped += String(part);
  });
  child.once("error", (error) => log?.warn("archive not begun", { blob, error: error.message }));
  child.once("close", (code, signal) => {
    if (code === 0) return log?.info("archive made", { blob, skipped: Number(skipped) });
    // A killed archiver may already have a successor, which owns the draft.
    if (!hasOtherArchiver(places, blob, child.pid)) discardDraft(places, blob);
    log?.warn("archive not made", { blob, exitCode: code, signal });
  });
}

/** Kills archivers. Incomplete archives have then failed. */
export async function endArchives(
  places: ArchivePlaces,
  isChosen: (record: ArchiveRecord) => boolean = () => true,
): Promise<void> {
  const chosen = listArchives(places).filter(isChosen);
  await Promise.all(
    chosen.map(async ({ blob, archiver }) => {
      if (!isAlive(archiver)) return;
      signalProcess(archiver, "SIGKILL");
      if (await isGone(archiver)) discardDraft(places, blob);
    }),
  );
}

const killedWithinMs = 1_000;

async function isGone(archiver: ProcessIdentity): Promise<boolean> {
  const end = performance.now() + killedWithinMs;
  while (performance.now() < end && isAlive(archiver)) await sleep(5);
  return !isAlive(archiver);
}

/** Frees the drafts of dead archivers. Living archivers of an earlier process continue. */
export function adoptArchives(places: ArchivePlaces): void {
  for (const { blob, archiver } of listArchives(places)) {
    if (!isAlive(archiver)) discardDraft(places, blob);
  }
  forgetOldArchives(places, Date.now());
}

export interface ArchivePlaces {
  /** Directory of the Blobs port. */
  readonly blobs: string;
  readonly records: string;
}

/** If the archiver is dead and no archive exists, the archive has failed. */
interface ArchiveRecord {
  readonly volume: string;
  readonly blob: string;
  readonly archiver: ProcessIdentity;
}

export function archiveFile({ blobs }: ArchivePlaces, blob: string): string {
  requireBlobName(blob);
  return join(blobs, blob);
}

/** Returns the path of the draft, on the file system of the finished archive. */
function archiveDraft({ blobs }: ArchivePlaces, blob: string): string {
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

function writeArchiveRecord(places: ArchivePlaces, record: ArchiveRecord): void {
  mkdirSync(places.records, { recursive: true, mode: 0o700 });
  writeFileSync(recordFile(places, record.blob), JSON.stringify(record), { mode: 0o600 });
}

function listArchives(places: ArchivePlaces): ArchiveRecord[] {
  const names = statSync(places.records, { throwIfNoEntry: false }) ? readdirSync(places.records) : [];
  return names.flatMap((name) => readRecord(places, name.replace(/\.json$/, "")) ?? []);
}

function hasOtherArchiver(places: ArchivePlaces, blob: string, pid: number | undefined): boolean {
  const record = readRecord(places, formatId(blob));
  return record !== undefined && record.archiver.pid !== pid;
}

/** Deletes the draft. No archiver may be writing it. */
function discardDraft(places: ArchivePlaces, blob: string): void {
  rmSync(archiveDraft(places, blob), { force: true });
}

const keptMs = 86_400_000;

/** Deletes old records. Their callers have long read the result. */
function forgetOldArchives(places: ArchivePlaces, now: number): void {
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
