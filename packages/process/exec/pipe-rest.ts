import { readSync } from "node:fs";
import type { Socket } from "node:net";

/** Largest capacity of a pipe (pipe(7)). A leftover process may write forever. */
const mostBytes = 1024 * 1024;

/** Bytes that Node has already buffered go to the listener, others to `add`. */
export function takeRest(pipe: Socket, descriptor: number, add: (bytes: Buffer) => void): void {
  if (pipe.destroyed) return;
  pipe.pause();
  while (pipe.read() !== null);
  for (let rest = mostBytes; rest > 0; ) {
    const bytes = Buffer.alloc(65_536);
    const length = readNow(descriptor, bytes);
    if (length === 0) break;
    add(bytes.subarray(0, length));
    rest -= length;
  }
  pipe.destroy();
}

function readNow(descriptor: number, into: Buffer): number {
  try {
    return readSync(descriptor, into);
  } catch {
    return 0;
  }
}
