import { closeSync, constants, openSync, rmSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { limitPace } from "../logs/pace.ts";
import type { Isolation } from "../runs/records.ts";
import { giveToRun } from "../sandbox/sandbox-user.ts";
import { takeRest } from "./pipe-rest.ts";

/** Bytes kept of each stream (docs/apis/common.md#limits). */
const keptBytes = 1024 * 1024;

export interface Capture {
  /** The command may open it again as /dev/stdout. */
  readonly descriptor: number;
  /** Call this once the command has inherited it, or never will. Repeated calls are safe. */
  closeDescriptor(): void;
  isOver(): boolean;
  /** Stops reading. Returns whether output was dropped. */
  finish(): boolean;
}

/** Output beyond the limit is read and dropped. */
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

/** A full disk loses output, but must not end the command. */
function unlessRefused(write: () => void): void {
  try {
    write();
  } catch {
    return;
  }
}
