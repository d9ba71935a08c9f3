import type { Duplex, Readable, Writable } from "node:stream";
import type { Relay, RelayPlace } from "#relay/relay.ts";
import type { SshDirectory } from "./directory.ts";

export interface GatewayPorts {
  readonly directory: SshDirectory;
  readonly reach: Reach;
}

/** Ways into a run. Every failure has a message for the user. */
export interface Reach {
  start(run: string, wanted: WantedProgram): Promise<Program>;
  /** Connects to a port of the run's own loopback. Rejects if nothing answers. */
  dial(run: string, destination: Destination): Promise<Duplex>;
  /**
   * Opens a stream of frames to a terminal that lives in the run (packages/relay/terminal-frames.ts). The holder waits
   * for `attach`. Rejects with `NoTerminal` if it cannot be opened.
   */
  openTerminal(run: string, wanted: WantedWebTerminal): Promise<Duplex>;
  /** Starts a relay inside the run. Rejects if this kind of run has none. */
  openRelay(run: string, place: RelayPlace, onVisitor: (visitor: Duplex) => void): Promise<Relay>;
}

export interface WantedProgram {
  readonly program: "shell" | "sftp" | { readonly command: string };
  readonly env: Readonly<Record<string, string>>;
  /** If undefined, the program gets three separate streams. */
  readonly terminal: Terminal | undefined;
}

export interface Terminal {
  readonly term: string;
  readonly columns: number;
  readonly lines: number;
}

/**
 * A program inside a run, as its client sees it. It counts as use of the environment until it is hung up. An error of a
 * stream needs no listener, because `ended` reports the end.
 */
export interface Program {
  readonly input: Writable;
  readonly output: Readable;
  /** Standard error. A terminal has none. */
  readonly errors?: Readable | undefined;
  /** How it ended, once its output is complete. Rejects with a message for the user if that is unknown. */
  readonly ended: Promise<ProgramEnd>;
  resize(columns: number, lines: number): void;
  readonly signal?: ((signal: NodeJS.Signals) => void) | undefined;
  /** Makes the next write of the program fail, as on a closed pipe. */
  readonly closeOutput?: (() => void) | undefined;
  /** Ends the program as a closed terminal does. Call it once the client has left, even after the end. Never rejects. */
  hangUp(): Promise<void>;
}

/** `signal` is the name of the signal that killed the program, such as `SIGTERM`. */
export type ProgramEnd = { readonly exitCode: number } | { readonly signal: string };

export interface Destination {
  readonly host: "127.0.0.1" | "::1";
  readonly port: number;
}

export interface WantedWebTerminal {
  /** 32 hex digits. */
  readonly id: string;
  /** Whether to start a new terminal. If false, it must exist already. */
  readonly isNew: boolean;
  readonly columns: number;
  readonly lines: number;
}

/** A terminal that cannot be opened: it has ended, the run has as many as it may have, or it can have none. */
export class NoTerminal extends Error {
  readonly reason: "gone" | "tooMany" | "unsupported";

  constructor(reason: NoTerminal["reason"]) {
    super(`No terminal: ${reason}`);
    this.name = "NoTerminal";
    this.reason = reason;
  }
}

export const MOST_TERMINALS = 8;
