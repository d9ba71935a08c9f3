import { closeSync, openSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { Problem } from "#core/problem.ts";

// https://www.sqlite.org/rescode.html; the low byte is the primary code.
const [BUSY, LOCKED, READ_ONLY, IO_ERROR, CORRUPT, FULL, CANNOT_OPEN, NOT_A_DATABASE] = [5, 6, 8, 10, 11, 13, 14, 26];

const reasons: Readonly<Record<number, string>> = {
  [BUSY]: "Another program writes to the records of this stack: nothing can be stored until it is done",
  [LOCKED]: "Another program writes to the records of this stack: nothing can be stored until it is done",
  [READ_ONLY]: "The disk of this stack is read-only: nothing can be stored",
  [IO_ERROR]: "The disk of this stack cannot be read or written",
  [CORRUPT]: "The records of this stack are damaged: stop it and follow the message of its next start",
  [FULL]: "The disk of this stack is full: nothing can be stored until there is room",
  [CANNOT_OPEN]: "The records of this stack can no longer be opened",
  [NOT_A_DATABASE]: "The records of this stack are damaged: stop it and follow the message of its next start",
};

/** Returns a mapper of database errors to Problems. Other errors stay unchanged. */
export function createProblemMapper(path: string): (error: unknown) => unknown {
  return (error) => {
    const code = getErrorCode(error);
    const reason = reasons[code === IO_ERROR && isReadOnly(path) ? READ_ONLY : (code ?? 0)];
    if (reason === undefined) return error;
    const isOutOfRoom = code === FULL && { errorCode: "capacity" as const };
    return new Problem("unavailable", reason, { cause: error, retryAfterSeconds: 5, ...isOutOfRoom });
  };
}

/** Reports whether the disk became read-only. Closing the database file would drop SQLite's locks (fcntl(2)). */
function isReadOnly(path: string): boolean {
  try {
    closeSync(openSync(`${path}-wal`, "r+"));
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EROFS";
  }
}

/** Describes an error while the files were opened. Node's error for a failed read names no path. */
export function unopened(path: string, error: unknown): unknown {
  if (getErrorCode(error) === undefined && !isOfFileSystem(error)) return error;
  // On a full disk SQLite may report an I/O error, because it fails on the log's index first.
  const reason = isFull(dirname(path)) ? "its disk is full. Make room on it" : (error as Error).message;
  return new Error(`The records in ${path} cannot be opened: ${reason}.`, { cause: error });
}

function isOfFileSystem(error: unknown): boolean {
  return typeof (error as NodeJS.ErrnoException).syscall === "string";
}

function isFull(directory: string): boolean {
  const { bavail, bsize } = statfsSync(directory);
  return bavail * bsize < LEAST_ROOM;
}

/** Size of only the log's index. */
const LEAST_ROOM = 32 * 1024;

/** Returns SQLite's primary result code, or undefined for other errors. */
export function getErrorCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}

export function isDamagedFile(error: unknown): boolean {
  return [CORRUPT, NOT_A_DATABASE].includes(getErrorCode(error) ?? 0);
}
