import { closeSync, openSync, readSync, statSync } from "node:fs";

/** Returns the size of a file in bytes, 0 if it is missing. */
export function logSize(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}

const mostBytes = 1024 * 1024;

/**
 * Reads these bytes of the log, at most the last MiB of them. Returns "" if there are none. A shorter log was rotated
 * to `stack.log.1`, so it is read from its start.
 */
export function readLog(path: string, earlierSize: number, to = logSize(path)): string {
  const from = earlierSize > to ? 0 : earlierSize;
  if (to === from) return "";
  const descriptor = openSync(path, "r");
  try {
    const start = Math.max(from, to - mostBytes);
    const buffer = Buffer.alloc(to - start);
    return buffer.toString("utf8", 0, readSync(descriptor, buffer, 0, buffer.length, start));
  } finally {
    closeSync(descriptor);
  }
}

/** Returns the last lines of a text. */
export function lastLines(text: string, count: number): string {
  const lines = text.split(/(?<=\n)/);
  return lines.slice(-count).join("");
}
