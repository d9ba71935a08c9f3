import { closeSync, fdatasync, fdatasyncSync, fsyncSync, openSync } from "node:fs";
import { dirname } from "node:path";
import type { SyncedMark } from "./journal.ts";

/** SQLite's write-ahead log, as far as the disk has it. */
export interface LogOnDisk {
  /** Calls back once all that was written to the log before this call is on the disk, or with why it is not. */
  sync(done: (error: Error | null) => void): void;
  /** Calls everybody back, and syncs no more. */
  close(): void;
}

type Done = (error: Error | null) => void;
export type SyncFile = (file: number, done: Done) => void;

/**
 * Syncs the log outside the event loop, once for all who wait: whoever comes while one sync runs waits for the next,
 * since that one may have begun before their commit. The mark says afterwards how far it came. Throws where the log
 * cannot be opened: done at once, nothing but a sync itself can fail later. One that failed is the last, since what the
 * kernel could not write it may count as written at the next one (fsync(2)).
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
      // One that still runs closes it when it is over: its number must not become another file's before.
      if (!isRunning) closeSync(file);
    },
  };
}

/** SQLite makes the log, and leaves it to whoever syncs it to see that its name is on the disk. */
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
