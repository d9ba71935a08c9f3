import { readSync } from "node:fs";
import type { Socket } from "node:net";

/** No more than a pipe can hold at all (pipe(7)): somebody left behind may write for ever. */
const mostBytes = 1024 * 1024;

/** Reads what a pipe holds now, into `add` and into its listener what Node has read already, and listens no more. */
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

/** 0 at the end, and where there is nothing now. */
function readNow(descriptor: number, into: Buffer): number {
  try {
    return readSync(descriptor, into);
  } catch {
    return 0;
  }
}
