import { writeSync } from "node:fs";
import { Writable } from "node:stream";
import type { ReadStream } from "node:tty";
import { type IPty, spawn } from "@lydell/node-pty";

export interface WantedTerminal extends TerminalSize {
  readonly file: string;
  readonly args: readonly string[];
  readonly cwd: string | undefined;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface TerminalSize {
  readonly columns: number;
  readonly lines: number;
}

/** Opens a terminal. With `encoding: null` node-pty emits buffers, although its types say strings. */
export function openTerminal({ file, args, cwd, env, columns, lines }: WantedTerminal): IPty {
  const size = { cols: columns, rows: lines };
  return spawn(file, [...args], {
    ...size,
    name: env.TERM ?? "dumb",
    ...(cwd !== undefined && { cwd }),
    env: { ...env },
    encoding: null,
  });
}

/** Ignores errors: the terminal closes some time before its exit code is known, and a closed one has no size. */
export function resizeTerminal(pty: IPty, { columns, lines }: TerminalSize): void {
  try {
    pty.resize(columns, lines);
  } catch {
    return;
  }
}

/** Retry interval for input that the terminal does not accept, ms. */
const OFFERED_AGAIN_MS = 5;
const MOST_HELD_BYTES = 64 * 1024;

interface Master {
  readonly fd: number;
  /** Destroyed together with the descriptor, whose number may then belong to another file. */
  readonly _socket: ReadStream;
}

/**
 * Returns a stream into a terminal. node-pty's own `write` uses a blocking stream: if nothing reads the terminal,
 * libuv retries in a busy loop. This one writes to the non-blocking descriptor, keeps the rest and applies
 * backpressure.
 */
export function terminalInput(pty: IPty): Writable {
  const { fd, _socket: socket } = pty as unknown as Master;
  let waiting: NodeJS.Timeout | undefined;
  return new Writable({
    highWaterMark: MOST_HELD_BYTES,
    write(typed: Buffer, _encoding, done) {
      let rest = typed;
      const offer = () => {
        if (socket.destroyed) return done();
        const taken = writeSome(fd, rest);
        if (taken === "gone" || taken === rest.length) return done();
        rest = rest.subarray(taken);
        waiting = setTimeout(offer, taken > 0 ? 0 : OFFERED_AGAIN_MS);
      };
      offer();
    },
    destroy(error, done) {
      clearTimeout(waiting);
      done(error);
    },
  });
}

/** Returns the number of bytes written, or `gone` if the terminal has hung up. */
function writeSome(fd: number, bytes: Buffer): number | "gone" {
  try {
    return writeSync(fd, bytes);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EAGAIN" ? 0 : "gone";
  }
}
