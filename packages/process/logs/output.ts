import { closeSync, constants, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { takeRest } from "../exec/pipe-rest.ts";
import type { Isolation } from "../runs/records.ts";
import { giveToRun } from "../sandbox/sandbox-user.ts";
import { keepNewest } from "./output-files.ts";
import { limitPace } from "./pace.ts";

export interface Output {
  readonly descriptor: number;
  /** Call this once the commands have inherited the descriptor. */
  closeDescriptor(): void;
  /** Resolves when all output is written; after `withinMs`, only output up to then. */
  drain(withinMs: number): Promise<void>;
}

/** A FIFO, because Node's own pipes are sockets, which a command cannot open again as /dev/stdout. */
export function openOutput(directory: string, fifo: string, isolation: Isolation): Output {
  giveToRun(fifo, isolation);
  const reading = openSync(fifo, constants.O_RDONLY | constants.O_NONBLOCK);
  const descriptor = openSync(fifo, constants.O_WRONLY);
  rmSync(fifo);
  const log = keepNewest(directory);
  const pipe = new Socket({ fd: reading, readable: true, writable: false });
  const pace = limitPace(pipe);
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
