import { closeSync, fstatSync, ftruncateSync, openSync, readSync, rmSync, statSync, writeFileSync } from "node:fs";
import type { Outputs } from "../stack-output.ts";

type Lines = Outputs["lines"];

const mostBytes = 10 * 1024 * 1024;

/**
 * Returns an output that rotates the log of a background stack at 10 MiB into `<path>.1`. Returns the output itself
 * if it is not this file.
 */
export function boundLog(lines: Lines, descriptor: number, path: string): Lines {
  if (!isSameFile(descriptor, path)) return lines;
  return {
    write(text: string) {
      if (fstatSync(descriptor).size > mostBytes) moveAside(descriptor, path);
      return lines.write(text);
    },
  } as Lines;
}

function isSameFile(descriptor: number, path: string): boolean {
  const [ownStats, named] = [fstatSync(descriptor), statSync(path, { throwIfNoEntry: false })];
  return ownStats.isFile() && ownStats.ino === named?.ino && ownStats.dev === named.dev;
}

/** Truncates the file instead of replacing it, because the open descriptors of this process append to it. */
function moveAside(descriptor: number, path: string): void {
  try {
    const old = `${path}.1`;
    const newest = readEnd(path);
    rmSync(old, { force: true });
    writeFileSync(old, newest, { mode: 0o600, flag: "wx" });
  } catch {
    // On a full disk the old lines are lost, so that the log stays bounded.
  }
  ftruncateSync(descriptor);
}

function readEnd(path: string): Buffer {
  const reader = openSync(path, "r");
  try {
    const end = Buffer.alloc(mostBytes);
    return end.subarray(0, readSync(reader, end, 0, mostBytes, fstatSync(reader).size - mostBytes));
  } finally {
    closeSync(reader);
  }
}
