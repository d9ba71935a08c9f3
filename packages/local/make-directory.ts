import { mkdirSync, statSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Makes a directory and those above it, one by one: Node's own way never ends where the file system says of a
 * directory that is there that it is not (/proc does). Throws, with the path and the reason.
 */
export function makeDirectory(path: string): void {
  if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  const above = dirname(path);
  if (above !== path) makeDirectory(above);
  try {
    mkdirSync(path);
  } catch (error) {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    const { code = "" } = error as NodeJS.ErrnoException;
    throw new Error(`The directory ${path} cannot be made: ${reasons[code] ?? code}`, { cause: error });
  }
}

const reasons: Readonly<Record<string, string>> = {
  EACCES: "permission denied",
  EEXIST: "a file has that name",
  ENOENT: "this file system does not take it",
  ENOSPC: "its disk is full",
  ENOTDIR: "one above it is a file",
  EPERM: "not permitted",
  EROFS: "its file system is read-only",
};
