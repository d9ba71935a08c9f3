import { closeSync, constants, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { paceOf } from "./pace.ts";
import { takeRest } from "./pipe-rest.ts";
import type { Isolation } from "./records.ts";
import { readBytes } from "./run-directory.ts";
import { giveToRun } from "./sandbox-user.ts";

const keptBytes = 1024 * 1024;

/** Where the output of a run's commands goes. */
export interface Output {
  /** To be inherited as stdout and stderr. */
  readonly descriptor: number;
  /** To be called once the commands have their copies. */
  closeDescriptor(): void;
  /** Resolves when everything printed has been written: after `withinMs` all that was printed by then. */
  drain(withinMs: number): Promise<void>;
}

/**
 * A pipe, the FIFO at `fifo`, into `log`, which moves to `log.1` at every MiB, so that two files hold all that is ever
 * kept. It is a FIFO because Node's own pipes are sockets, which a command cannot open again as /dev/stdout.
 */
export function openOutput(directory: string, fifo: string, isolation: Isolation): Output {
  giveToRun(fifo, isolation);
  const reading = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const descriptor = openSync(fifo, constants.O_WRONLY);
  rmSync(fifo);
  const log = keepNewest(join(directory, "log"));
  const pipe = new Socket({ fd: reading, readable: true, writable: false });
  const pace = paceOf(pipe);
  const ended = new Promise<void>((resolve) => pipe.once("close", () => resolve()).on("error", () => resolve()));
  void ended.then(log.close);
  pipe.on("data", (bytes: Buffer) => {
    log.add(bytes);
    pace(bytes.length);
  });
  return {
    descriptor,
    closeDescriptor: () => closeSync(descriptor),
    drain: async (withinMs) => {
      const late = setTimeout(() => takeRest(pipe, reading, log.add), withinMs);
      await ended;
      clearTimeout(late);
    },
  };
}

/** The newest MiB that was printed; bytes that are no UTF-8 become U+FFFD. */
export function readOutput(directory: string): string {
  const bytes = Buffer.concat([readBytes(directory, "log.1"), readBytes(directory, "log")]);
  const cut = bytes.subarray(-keptBytes);
  return cut.subarray(bytes.length > keptBytes ? startOfCharacter(cut) : 0).toString("utf8");
}

function keepNewest(path: string): { add(bytes: Buffer): void; close(): void } {
  let file = openSync(path, "a", 0o600);
  let size = 0;
  return {
    add: (bytes) => {
      size += bytes.length;
      unlessRefused(() => writeSync(file, bytes));
      if (size < keptBytes) return;
      size = 0;
      unlessRefused(() => {
        renameSync(path, `${path}.1`);
        const next = openSync(path, "a", 0o600);
        closeSync(file);
        file = next;
      });
    },
    close: () => closeSync(file),
  };
}

/** A full disk costs output, and not the run. */
function unlessRefused(write: () => void): void {
  try {
    write();
  } catch {
    return;
  }
}

/** How many bytes of a character that was cut in two are left in front. */
function startOfCharacter(bytes: Buffer): number {
  const first = bytes.subarray(0, 4).findIndex((byte) => (byte & 0xc0) !== 0x80);
  return Math.max(0, first);
}
