import { type ChildProcess, spawn } from "node:child_process";
import type { Duplex, Readable, Writable } from "node:stream";
import { limitPace } from "../logs/pace.ts";
import { commandInside, type Inside } from "../runs/inside.ts";
import { relayCommand } from "../sandbox/tools.ts";
import { multiplexer } from "../sftp/multiplexer.ts";

/** A process inside a run that leads its sockets to somebody outside it. */
export interface Relay {
  /** Where it listens: a path, or the number of a port; nothing of one that dials. Rejects where that cannot be. */
  readonly address: Promise<string>;
  readonly ended: Promise<void>;
  close(): void;
}

/**
 * Where it listens: `tcp` on the run's loopback, 0 for any port; `unix` at a path of the run; `agent` at a new path that
 * only the run's user may enter. `dial` connects to a path instead, and is its own one visitor.
 */
export type RelayPlace = readonly ["tcp", port: string] | readonly ["unix" | "dial", path: string] | readonly ["agent"];

/** Until it is closed or the run ends; each visitor is a stream. */
export function openRelay(
  home: string,
  inside: Inside,
  place: RelayPlace,
  onVisitor: (visitor: Duplex) => void,
): Relay {
  // Ours, and not the tenant's: NODE_OPTIONS among its variables would make it another program.
  const { file, args, env, cwd } = commandInside({ ...inside, env: {} }, relayCommand(home, inside.isolation, place));
  const child = spawn(file, args, { env, cwd, detached: true, stdio: ["pipe", "pipe", "ignore"] }) as Piped;
  for (const stream of [child.stdin, child.stdout]) stream.on("error", () => undefined);
  const address = Promise.withResolvers<string>();
  const ended = Promise.withResolvers<void>();
  const streams = multiplexer({
    send: (bytes) => {
      // It acknowledges what it is sent, so that little waits; one that reads nothing is no relay any more.
      if (child.stdin.writableLength > MOST_UNREAD_BYTES) hangUp(child);
      else if (child.stdin.writable) child.stdin.write(bytes);
    },
    onHello: (words) => {
      clearTimeout(late);
      address.resolve(words);
    },
    onOpen: onVisitor,
  });
  // A busy machine takes its time; whoever asked is not kept waiting for ever.
  const late = setTimeout(() => {
    address.reject(new Error("Nothing answers there"));
    hangUp(child);
  }, HELLO_WITHIN_MS);
  // Whoever has taken its place may send frames without end, and each is work for the process that serves everybody.
  const pace = limitPace(child.stdout);
  child.stdout.on("data", (part: Buffer) => {
    try {
      pace(streams.take(part));
    } catch {
      // Whatever answers there is no relay any more.
      child.stdout.destroy();
      hangUp(child);
    }
  });
  const end = () => {
    clearTimeout(late);
    address.reject(new Error("Nothing can listen or answer there"));
    streams.close();
    ended.resolve();
  };
  // One that nobody waits for any more may fail.
  address.promise.catch(() => undefined);
  child.once("error", end).once("close", end);
  return { address: address.promise, ended: ended.promise, close: () => hangUp(child) };
}

type Piped = ChildProcess & { readonly stdin: Writable; readonly stdout: Readable };

/** It ends with its standard input; what does not is hung up on. */
function hangUp(child: Piped): void {
  child.stdin.end();
  const { pid } = child;
  if (pid === undefined || hasEnded(child)) return;
  const timer = setTimeout(() => {
    try {
      if (!hasEnded(child)) process.kill(-pid, "SIGHUP");
    } catch {
      return;
    }
  }, GRACE_MS).unref();
  child.once("exit", () => clearTimeout(timer));
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

const GRACE_MS = 1_000;
/** Its 128 lines have a window each. */
const MOST_UNREAD_BYTES = 64 * 1024 * 1024;
const HELLO_WITHIN_MS = 30_000;
