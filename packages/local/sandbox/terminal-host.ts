import { writeSync } from "node:fs";
import { Socket } from "node:net";
import { Writable } from "node:stream";
import type { ReadStream } from "node:tty";
import { type IPty, spawn } from "@lydell/node-pty";

/**
 * Holds one terminal in its own process (ssh-terminal.ts), typed into at its standard input and shown at its standard
 * output.
 * node-pty leaks the terminal's master to every program started later. The stack starts programs of other users, who
 * could read and type into it. This process ends when the stack closes the IPC channel, and the kernel then hangs up
 * the terminal.
 */
process.once("disconnect", () => process.exit());
process.once("message", (wanted: WantedTerminal) => hold(wanted));

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

export type TerminalNews = { readonly pid: number } | { readonly exitCode: number };

function hold({ file, args, cwd, env, columns, lines }: WantedTerminal): void {
  const size = { cols: columns, rows: lines };
  const pty = spawn(file, [...args], {
    ...size,
    name: env.TERM ?? "dumb",
    ...(cwd !== undefined && { cwd }),
    env: { ...env },
    encoding: null,
  });
  const shown = new Socket({ fd: 1, readable: false, writable: true });
  const typed = new Socket({ fd: 0, readable: true, writable: false });
  for (const stream of [shown, typed]) stream.on("error", () => undefined);
  pty.onData((data) => {
    if (!shown.write(data)) pty.pause();
  });
  shown.on("drain", () => pty.resume());
  typed.pipe(terminalInput(pty));
  process.on("message", (next: TerminalSize) => resize(pty, next));
  pty.onExit(({ exitCode, signal }) => {
    const news: TerminalNews = { exitCode: signal ? 128 + signal : exitCode };
    shown.end(() => process.send?.(news, () => process.exit()));
  });
  process.send?.({ pid: pty.pid } satisfies TerminalNews);
}

/** Ignores errors: the terminal closes some time before its exit code is known, and a closed one has no size. */
function resize(pty: IPty, { columns, lines }: TerminalSize): void {
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
function terminalInput(pty: IPty): Writable {
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
