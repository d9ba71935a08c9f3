import { closeSync, fdatasync, fdatasyncSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import type { SyncedMark } from "./journal.ts";

/** SQLite's write-ahead log and its state on the disk. */
export interface LogOnDisk {
  /** Calls back once all earlier writes to the log are on the disk, or with the error. */
  sync(done: (error: Error | null) => void): void;
  /** Calls back all waiting writers and syncs no more. */
  close(): void;
}

type Done = (error: Error | null) => void;
export type SyncFile = (file: number, done: Done) => void;

/**
 * Syncs the log outside the event loop. A write during a sync waits for the next one, since the running one may have
 * begun before its commit. Throws if the log cannot be opened. The first failure is final: the kernel may count the
 * lost pages as written at the next sync (fsync(2)).
 */
export function logOnDisk(path: string, mark: SyncedMark, syncFile: SyncFile = fdatasync): LogOnDisk {
  const file = openNamed(path);
  let waiting: Done[] = [];
  let syncing: Done[] = [];
  let isRunning = false;
  let isClosed = false;
  let failure: Error | null = null;

  const begin = () => {
    if (isRunning || isClosed || waiting.length === 0) return;
    const written = mark.written();
    [syncing, waiting] = [waiting, []];
    isRunning = true;
    syncFile(file, (error) => {
      isRunning = false;
      failure ??= error;
      if (written && !failure && !isClosed) mark.note(written);
      if (failure) tellAll(failure);
      else tell();
      if (isClosed) closeSync(file);
      else begin();
    });
  };
  const tell = (error: Error | null = null) => {
    const synced = syncing;
    syncing = [];
    for (const done of synced) done(error);
  };
  const tellAll = (error: Error | null) => {
    [syncing, waiting] = [[...syncing, ...waiting], []];
    tell(error);
  };
  return {
    sync(done) {
      if (failure) return done(failure);
      waiting.push(done);
      begin();
    },
    close() {
      isClosed = true;
      tellAll(failure ?? findFailure(() => fdatasyncSync(file)));
      // A running sync closes the file itself: its descriptor must not be reused before.
      if (!isRunning) closeSync(file);
    },
  };
}

/** Opens the log. SQLite creates it, and syncing its directory entry is left to this code. */
function openNamed(path: string): number {
  const directory = openSync(dirname(path), "r");
  try {
    fsyncSync(directory);
  } finally {
    closeSync(directory);
  }
  return openSync(path, "r");
}

function findFailure(work: () => void): Error | null {
  try {
    work();
    return null;
  } catch (error) {
    return error as Error;
  }
}
