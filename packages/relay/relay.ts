import type { Duplex, Readable, Writable } from "node:stream";
import { multiplexer } from "./multiplexer.ts";
import { limitPace } from "./pace.ts";

/**
 * `tcp` listens on the run's loopback (0: any port), `unix` at a path, and `agent` at a new path that only the run's
 * user may enter. `dial` connects to a path, as its only visitor.
 */
export type RelayPlace = readonly ["tcp", port: string] | readonly ["unix" | "dial", path: string] | readonly ["agent"];

export interface Relay {
  /** Path or port number; empty for `dial`. Rejects on failure. */
  readonly address: Promise<string>;
  readonly ended: Promise<void>;
  /** Counts bytes that wait here, because the run or the client does not read them. */
  heldBytes(): number;
  close(): void;
}

/** A program inside a run that speaks frames on its standard streams. */
export interface RelayProgram {
  readonly input: Writable;
  readonly output: Readable;
  /** Settles once the program has ended. A rejection has the reason for the user. */
  readonly ended: Promise<unknown>;
  /** Ends the program. Its input has ended `GRACE_MS` before. */
  hangUp(): void;
}

export function serveRelay(program: RelayProgram, onVisitor: (visitor: Duplex) => void): Relay {
  const { input, output } = program;
  for (const stream of [input, output]) stream.on("error", () => undefined);
  const address = Promise.withResolvers<string>();
  const close = () => endRelay(program);
  const streams = multiplexer({
    send: (bytes) => {
      // A relay acknowledges what it receives, so little waits here.
      if (input.writableLength > MOST_UNREAD_BYTES) close();
      else if (input.writable) input.write(bytes);
    },
    onHello: (words) => {
      clearTimeout(late);
      address.resolve(words);
    },
    onOpen: onVisitor,
  });
  // A busy machine is slow, but callers must not wait forever.
  const late = setTimeout(() => {
    address.reject(new Error("No program listens there"));
    close();
  }, HELLO_WITHIN_MS);
  // A hostile process could send endless frames, which take time of the process that serves all runs.
  const pace = limitPace(output);
  output.on("data", (part: Buffer) => {
    try {
      pace(streams.take(part));
    } catch {
      // Invalid frames: the process is not a relay.
      output.destroy();
      close();
    }
  });
  const end = (reason: unknown) => {
    clearTimeout(late);
    address.reject(reason instanceof Error ? reason : new Error("The relay could not listen or connect"));
    streams.close();
  };
  address.promise.catch(() => undefined);
  const heldBytes = () => input.writableLength + streams.heldBytes();
  return { address: address.promise, ended: program.ended.then(end, end), heldBytes, close };
}

/** Closes standard input, then hangs up. */
function endRelay({ input, ended, hangUp }: RelayProgram): void {
  input.end();
  const timer = setTimeout(hangUp, GRACE_MS).unref();
  const stop = () => clearTimeout(timer);
  void ended.then(stop, stop);
}

const GRACE_MS = 1_000;
/** The 128 lines of a relay have one window each. */
const MOST_UNREAD_BYTES = 64 * 1024 * 1024;
const HELLO_WITHIN_MS = 30_000;
