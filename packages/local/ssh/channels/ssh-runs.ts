import type { Duplex } from "node:stream";
import type { Connection, PseudoTtyInfo, ServerChannel } from "ssh2";
import type { Notice } from "#core/ports/compute.ts";
import type { EndedLogin } from "#process/exec/notices.ts";
import type { ClientRelays } from "./ssh-relay.ts";

/** What the SSH server asks of whatever runs environments. */
export interface SshRuns {
  /** The living runs of this SSH user name; two jobs may by chance have the same. */
  find(login: string): readonly SshRun[];
  /** Whether the run lives, and still lets this key in. */
  admits(run: string, key: string): boolean;
  /**
   * Starts what a client asked for inside the run, and ends its channel as that ends; what runs is hung up on when the
   * channel closes. Rejects with words for the user.
   */
  start(run: string, channel: ServerChannel, wanted: WantedSession): Promise<Started>;
  /** The newest notice for the people in this run. */
  findNotice(run: string): Notice | undefined;
  /** Reports whether the run has no disk, as far as that is known. */
  hasNoDisk(run: string): boolean;
  /** Returns the keys of the latest ended environment of this SSH user name, and why it ended. */
  findEnded(login: string): EndedLogin | undefined;
  /** Connects to a port of the run's own loopback. Rejects where nothing answers. */
  dial(run: string, destination: Destination): Promise<Duplex>;
  openRelays(run: string, connection: Connection): ClientRelays;
}

export interface SshRun {
  readonly name: string;
  /** Each `<type> <base64>`. */
  readonly keys: readonly string[];
}

export interface WantedSession {
  readonly program: "shell" | "sftp" | { readonly command: string };
  /** What the client said of its terminal by now; undefined: it wants none. */
  readonly pty: () => TerminalInfo | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Shows why the run ends. Call it before the channel of a terminal ends. `isCut`: the run may have ended it. */
  readonly sayGoodbye: (isCut: boolean) => Promise<void>;
}

/** Where a connection comes from, and the port of 127.0.0.1 at which it came in. */
export interface ClientAddress {
  readonly ip: string;
  readonly port: number;
  readonly serverPort: number;
}

export type TerminalInfo = PseudoTtyInfo & { readonly term?: string };

/** What a client can do to a program that runs. */
export interface Started {
  /** Changes the size of its terminal, where it has one. */
  resize(columns: number, rows: number): void;
  /** Undefined with a terminal, where a client types it. */
  readonly signal?: (signal: NodeJS.Signals) => void;
}

export interface Destination {
  readonly host: "127.0.0.1" | "::1";
  readonly port: number;
}

/** Exit codes by SIGHUP, SIGKILL and SIGTERM, one of which ends a program at the end of its run. */
const CUT_CODES: ReadonlySet<number> = new Set([1, 9, 15].map((signal) => 128 + signal));

/** Reports whether a program may have ended because its run does. A shell that is left after Ctrl-C exits with 130. */
export function mayBeCut(exitCode: number): boolean {
  return CUT_CODES.has(exitCode);
}

const mostCells = 10_000;

/** A number of columns or rows as a terminal can have it. */
export function cells(value: number, otherwise: number): number {
  return Number.isInteger(value) && value > 0 && value <= mostCells ? value : otherwise;
}

/** The name of a terminal, where the client gave one that can be one. */
export function getTerm({ term = "" }: TerminalInfo): string {
  return /^[\w.+-]{1,64}$/.test(term) ? term : "xterm";
}
