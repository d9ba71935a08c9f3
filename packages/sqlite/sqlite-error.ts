import { closeSync, openSync, statfsSync } from "node:fs";
import { dirname } from "node:path";
import { Problem } from "#core/problem.ts";

// https://www.sqlite.org/rescode.html; the low byte is the kind, the rest says more.
const [BUSY, LOCKED, READ_ONLY, IO_ERROR, CORRUPT, FULL, CANNOT_OPEN, NOT_A_DATABASE] = [5, 6, 8, 10, 11, 13, 14, 26];

const reasons: Readonly<Record<number, string>> = {
  [BUSY]: "Another program writes to the records of this stack: nothing can be stored until it is done",
  [LOCKED]: "Another program writes to the records of this stack: nothing can be stored until it is done",
  [READ_ONLY]: "The disk of this stack is read-only: nothing can be stored",
  [IO_ERROR]: "The disk of this stack cannot be read or written",
  [CORRUPT]: "The records of this stack are damaged: stop it and read what its next start says",
  [FULL]: "The disk of this stack is full: nothing can be stored until there is room",
  [CANNOT_OPEN]: "The records of this stack cannot be opened any more",
  [NOT_A_DATABASE]: "The records of this stack are damaged: stop it and read what its next start says",
};

/** What to tell of an error of the database in this file; of any other, itself. */
export function createProblemMapper(path: string): (error: unknown) => unknown {
  return (error) => {
    const code = getErrorCode(error);
    const reason = reasons[code === IO_ERROR && isReadOnly(path) ? READ_ONLY : (code ?? 0)];
    if (reason === undefined) return error;
    const isOutOfRoom = code === FULL && { errorCode: "capacity" as const };
    return new Problem("unavailable", reason, { cause: error, retryAfterSeconds: 5, ...isOutOfRoom });
  };
}

/**
 * Whether the disk became read-only while the file was open, as Linux makes one that has errors: to SQLite that is a write
 * which failed. The log is asked, since closing the database's own file would take SQLite's locks from it (fcntl(2)).
 */
function isReadOnly(path: string): boolean {
  try {
    closeSync(openSync(`${path}-wal`, "r+"));
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EROFS";
  }
}

/**
 * What to tell of an error of SQLite, or of the file system, while this file and those beside it were opened; any other,
 * itself. Of a read that failed Node says neither file nor directory.
 */
export function unopened(path: string, error: unknown): unknown {
  if (getErrorCode(error) === undefined && !isOfFileSystem(error)) return error;
  // What of a full disk it notices first may be its index of the log, which it calls an error of the disk.
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

/** The index of the log alone has so much. */
const LEAST_ROOM = 32 * 1024;

/** SQLite's kind of error; undefined for an error that is none of SQLite's. */
export function getErrorCode(error: unknown): number | undefined {
  const { errcode } = error as { errcode?: unknown };
  return typeof errcode === "number" ? errcode & 0xff : undefined;
}

/** Whether SQLite says by this error that the file itself is damaged. */
export function isDamagedFile(error: unknown): boolean {
  return [CORRUPT, NOT_A_DATABASE].includes(getErrorCode(error) ?? 0);
}
