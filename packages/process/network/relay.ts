import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex, Readable, Writable } from "node:stream";
import { limitPace } from "../logs/pipes.ts";
import { commandInside, type Inside } from "../runs/inside.ts";
import { relayCommand } from "../sandbox/tools.ts";
import { multiplexer } from "../sftp/multiplexer.ts";
import { signalChildGroup } from "../supervisor/process-identity.ts";

export interface Relay {
  /** Path or port number; empty for `dial`. Rejects on failure. */
  readonly address: Promise<string>;
  readonly ended: Promise<void>;
  close(): void;
}

/**
 * `tcp` listens on the run's loopback (0: any port), `unix` at a path, and `agent` at a new path that only the run's
 * user may enter. `dial` connects to a path, as its only visitor.
 */
export type RelayPlace = readonly ["tcp", port: string] | readonly ["unix" | "dial", path: string] | readonly ["agent"];

export function openRelay(
  home: string,
  inside: Inside,
  place: RelayPlace,
  onVisitor: (visitor: Duplex) => void,
): Relay {
  // Do not pass the tenant's variables: NODE_OPTIONS could replace the program.
  const { file, args, env, cwd } = commandInside({ ...inside, env: {} }, relayCommand(home, inside.isolation, place));
  const child = spawn(file, args, { env, cwd, detached: true, stdio: ["pipe", "pipe", "ignore"] }) as Piped;
  for (const stream of [child.stdin, child.stdout]) stream.on("error", () => undefined);
  const address = Promise.withResolvers<string>();
  const ended = Promise.withResolvers<void>();
  const streams = multiplexer({
    send: (bytes) => {
      // A relay acknowledges what it receives, so little waits here.
      if (child.stdin.writableLength > MOST_UNREAD_BYTES) hangUp(child);
      else if (child.stdin.writable) child.stdin.write(bytes);
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
    hangUp(child);
  }, HELLO_WITHIN_MS);
  // A hostile process could send endless frames, which take time of the process that serves all runs.
  const pace = limitPace(child.stdout);
  child.stdout.on("data", (part: Buffer) => {
    try {
      pace(streams.take(part));
    } catch {
      // Invalid frames: the process is not a relay.
      child.stdout.destroy();
      hangUp(child);
    }
  });
  const end = () => {
    clearTimeout(late);
    address.reject(new Error("The relay could not listen or connect"));
    streams.close();
    ended.resolve();
  };
  address.promise.catch(() => undefined);
  child.once("error", end).once("close", end);
  return { address: address.promise, ended: ended.promise, close: () => hangUp(child) };
}

type Piped = ChildProcess & { readonly stdin: Writable; readonly stdout: Readable };

/** Closes standard input, then sends SIGHUP. */
function hangUp(child: Piped): void {
  child.stdin.end();
  const timer = setTimeout(() => signalChildGroup(child, "SIGHUP"), GRACE_MS).unref();
  child.once("exit", () => clearTimeout(timer));
}

const GRACE_MS = 1_000;
/** The 128 lines of a relay have one window each. */
const MOST_UNREAD_BYTES = 64 * 1024 * 1024;
const HELLO_WITHIN_MS = 30_000;
