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
 * since that one may have begun before their commit. The mark says afterwards how far it came.
 */
export function logOnDisk(path: string, mark: SyncedMark, syncFile: SyncFile = fdatasync): LogOnDisk {
  let file: number | undefined;
  let waiting: Done[] = [];
  let syncing: Done[] = [];
  let isRunning = false;
  let isClosed = false;

  const begin = () => {
    if (isRunning || isClosed || waiting.length === 0) return;
    file ??= openNamed(path);
    const written = mark.written();
    [syncing, waiting] = [waiting, []];
    isRunning = true;
    syncFile(file, (error) => {
      isRunning = false;
      if (!error && !isClosed) mark.note(written);
      tell(error);
      if (isClosed) closeSync(file as number);
      else begin();
    });
  };
  const tell = (error: Error | null) => {
    const told = syncing;
    syncing = [];
    for (const done of told) done(error);
  };
  return {
    sync(done) {
      waiting.push(done);
      try {
        begin();
      } catch (error) {
        [syncing, waiting] = [waiting, []];
        tell(error as Error);
      }
    },
    close() {
      isClosed = true;
      if (file === undefined) return;
      const open = file;
      [syncing, waiting] = [[...syncing, ...waiting], []];
      tell(failureOf(() => fdatasyncSync(open)));
      // One that still runs closes it when it is over: its number must not become another file's before.
      if (!isRunning) closeSync(open);
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

function failureOf(work: () => void): Error | null {
  try {
    work();
    return null;
  } catch (error) {
    return error as Error;
  }
}
