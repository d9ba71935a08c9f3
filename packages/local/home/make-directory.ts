import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Creates a directory and its parents one by one. Node's `recursive` never returns if a file system denies that an
 * existing directory exists, as /proc does. Throws with the path and the reason.
 */
export function makeDirectory(path: string): void {
  if (isDirectory(path)) return;
  const above = dirname(path);
  if (above !== path) makeDirectory(above);
  try {
    mkdirSync(path);
  } catch (error) {
    if (isDirectory(path)) return;
    throw new Error(`The directory ${path} cannot be created: ${describeRefusal(error) ?? String(error)}`, {
      cause: error,
    });
  }
}

export function describeRefusal(error: unknown): string | undefined {
  const { code } = error as NodeJS.ErrnoException;
  return code === undefined ? undefined : (reasons[code] ?? code);
}

/** Returns false for an unreadable directory too: creating it then reports why. */
function isDirectory(path: string): boolean {
  try {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
  } catch {
    return false;
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EEXIST: "a file has that name",
  ENOENT: "this file system refuses it",
  ENOSPC: "its disk is full",
  ENOTDIR: "one of its parents is a file",
  EPERM: "not permitted",
  EROFS: "its file system is read-only",
};
