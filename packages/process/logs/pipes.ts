import { execFile } from "node:child_process";
import { constants, mkdirSync, openSync, readSync, rmSync } from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { limitPace } from "#relay/pace.ts";
import { randomName } from "../files.ts";
import type { Isolation } from "../runs/records.ts";
import { systemPath } from "../sandbox/local-path.ts";
import { giveToRun } from "../sandbox/sandbox-user.ts";

/** FIFOs per call of mkfifo, because each call starts a process. */
const made = 32;

/** Hands out unique FIFOs. Node's own pipes are sockets, which a command cannot open again as /dev/stdout. */
export function fifosIn(folder: string): () => Promise<string> {
  const ready: string[] = [];
  let making: Promise<void> | undefined;

  const make = async (): Promise<void> => {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const paths = Array.from({ length: made }, () => join(folder, randomName()));
    await promisify(execFile)("mkfifo", ["-m", "600", ...paths], { env: { PATH: systemPath } });
    ready.push(...paths);
  };
  const ensure = (): Promise<void> => {
    making ??= make().finally(() => {
      making = undefined;
    });
    return making;
  };
  rmSync(folder, { recursive: true, force: true });
  return async () => {
    while (ready.length === 0) await ensure();
    const path = ready.shift() ?? "";
    // A caller that finds none left sees the failure.
    if (ready.length < made / 2) void ensure().catch(() => undefined);
    return path;
  };
}

interface OpenedFifo {
  /** For commands, which may open it again as /dev/stdout. Close it once they have inherited it. */
  readonly descriptor: number;
  readonly pipe: Socket;
  /** Reads the rest of the pipe and closes it. */
  takeRest(): void;
}

/** Opens a FIFO at both ends, removes its path, and passes on what commands write. */
export function openFifo(path: string, isolation: Isolation, take: (bytes: Buffer) => void): OpenedFifo {
  giveToRun(path, isolation);
  const reading = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const descriptor = openSync(path, constants.O_WRONLY);
  rmSync(path);
  const pipe = new Socket({ fd: reading, readable: true, writable: false });
  const pace = limitPace(pipe);
  pipe
    .on("error", () => undefined)
    .on("data", (bytes: Buffer) => {
      take(bytes);
      pace(bytes.length);
    });
  return { descriptor, pipe, takeRest: () => takeRest(pipe, reading, take) };
}

/** Largest capacity of a pipe (pipe(7)). A leftover process may write forever. */
const mostBytes = 1024 * 1024;

/** Bytes that Node has already buffered go to the listener, others to `add`. */
function takeRest(pipe: Socket, descriptor: number, add: (bytes: Buffer) => void): void {
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
