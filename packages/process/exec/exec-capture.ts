import { closeSync, constants, openSync, rmSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { limitPace } from "../logs/pace.ts";
import type { Isolation } from "../runs/records.ts";
import { giveToRun } from "../sandbox/sandbox-user.ts";
import { takeRest } from "./pipe-rest.ts";

/** Of each stream this much is kept (docs/apis/common.md#limits). */
const keptBytes = 1024 * 1024;

/** One stream of a command on its way into a file. */
export interface Capture {
  /** To be inherited by the command, which writes to it and may open it again as /dev/stdout. */
  readonly descriptor: number;
  /** To be called once the command has its copy, or will never have one; may be repeated. */
  closeDescriptor(): void;
  /** Whether nobody has the stream open any more. */
  isOver(): boolean;
  /** Takes what was written until now and listens no more; answers whether some of it was too much to be kept. */
  finish(): boolean;
}

/** Reads the FIFO at `path`, whose name it takes away, into `file`; what is too much is read and dropped. */
export function captureStream(path: string, file: string, isolation: Isolation): Capture {
  giveToRun(path, isolation);
  const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const descriptor = openSync(path, constants.O_WRONLY);
  rmSync(path);
  const pipe = new Socket({ fd: reading, readable: true, writable: false });
  const kept = keepFirst(file);
  const pace = limitPace(pipe);
  let isOpen = true;
  const take = (bytes: Buffer) => {
    kept.add(bytes);
    pace(bytes.length);
  };
  pipe.on("data", take).on("error", () => undefined);
  return {
    descriptor,
    closeDescriptor: () => {
      if (isOpen) closeSync(descriptor);
      isOpen = false;
    },
    isOver: () => pipe.destroyed,
    finish: () => {
      takeRest(pipe, reading, kept.add);
      return kept.close();
    },
  };
}

function keepFirst(path: string): { add(bytes: Buffer): void; close(): boolean } {
  const file = openSync(path, "w", 0o600);
  let size = 0;
  return {
    add: (bytes) => {
      const room = Math.max(0, keptBytes - size);
      size += bytes.length;
      if (room > 0) unlessRefused(() => writeSync(file, bytes.subarray(0, room)));
    },
    close: () => {
      closeSync(file);
      return size > keptBytes;
    },
  };
}

/** A full disk costs output, and not the command. */
function unlessRefused(write: () => void): void {
  try {
    write();
  } catch {
    return;
  }
}
