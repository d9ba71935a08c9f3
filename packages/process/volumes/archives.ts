import { type ChildProcess, spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Log } from "#core/ports/log.ts";
import { compileCache, systemPath } from "../sandbox/environment.ts";
import { findChild, isAlive, type ProcessIdentity, signalProcess } from "../supervisor/process-identity.ts";
import {
  type ArchivePlaces,
  type ArchiveRecord,
  archiveDraft,
  archiveFile,
  discardDraft,
  forgetOldArchives,
  hasOtherArchiver,
  listArchives,
  readArchive,
  writeArchiveRecord,
} from "./archive-directory.ts";

const program = fileURLToPath(new URL("./archiver.ts", import.meta.url));

export interface ArchiveRequest {
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
