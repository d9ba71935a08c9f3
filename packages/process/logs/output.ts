import { closeSync, constants, openSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { takeRest } from "../exec/pipe-rest.ts";
import type { Isolation } from "../runs/records.ts";
import { giveToRun } from "../sandbox/sandbox-user.ts";
import { keepNewest } from "./output-files.ts";
import { limitPace } from "./pace.ts";

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
 * Writes what comes through the FIFO at `fifo` to the files of the output. It is a FIFO because Node's own pipes are
 * sockets, which a command cannot open again as /dev/stdout.
 */
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
