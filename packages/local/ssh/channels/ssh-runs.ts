import type { Duplex } from "node:stream";
import type { Connection, PseudoTtyInfo, ServerChannel } from "ssh2";
import type { Notice } from "#core/ports/compute.ts";
import type { EndedLogin } from "#process/exec/notices.ts";
import type { SshRun } from "#process/exec/ssh-runs.ts";
import type { ClientRelays } from "./ssh-relay.ts";

export interface SshRuns {
  find(login: string): readonly SshRun[];
  admits(run: string, key: string): boolean;
  /**
   * Starts the requested program inside the run, and ends the channel with it. The program gets SIGHUP when the
   * channel closes. Rejects with a message for the user.
   */
  start(run: string, channel: ServerChannel, wanted: WantedSession): Promise<Started>;
  findNotice(run: string): Notice | undefined;
  /** Reports whether the run has no disk, as far as known. */
  hasNoDisk(run: string): boolean;
  /** Returns the keys of the latest ended environment of this SSH user name, and why it ended. */
  findEnded(login: string): EndedLogin | undefined;
  /** Connects to a port of the run's own loopback. Rejects if nothing answers. */
  dial(run: string, destination: Destination): Promise<Duplex>;
  openRelays(run: string, connection: Connection): ClientRelays;
}

export interface WantedSession {
  readonly program: "shell" | "sftp" | { readonly command: string };
  readonly pty: () => TerminalInfo | undefined;
  readonly env: Readonly<Record<string, string>>;
  /** Shows why the run ends. Call it before the channel of a terminal ends. `isCut`: the run may have ended it. */
  readonly sayGoodbye: (isCut: boolean) => Promise<void>;
}

export interface ClientAddress {
  readonly ip: string;
  readonly port: number;
  readonly serverPort: number;
}

export type TerminalInfo = PseudoTtyInfo & { readonly term?: string };

export interface Started {
  resize(columns: number, rows: number): void;
  readonly signal?: (signal: NodeJS.Signals) => void;
}

export interface Destination {
  readonly host: "127.0.0.1" | "::1";
  readonly port: number;
}

/** Exit codes for SIGHUP, SIGKILL and SIGTERM, one of which ends a program at the end of its run. */
const CUT_CODES: ReadonlySet<number> = new Set([1, 9, 15].map((signal) => 128 + signal));

/**
 * Reports whether the end of the run may have ended the program. A shell that is left after Ctrl-C exits with 130.
 */
export function mayBeCut(exitCode: number): boolean {
  return CUT_CODES.has(exitCode);
}

const mostCells = 10_000;

export function cells(value: number, otherwise: number): number {
  return Number.isInteger(value) && value > 0 && value <= mostCells ? value : otherwise;
}

export function getTerm({ term = "" }: TerminalInfo): string {
  return /^[\w.+-]{1,64}$/.test(term) ? term : "xterm";
}
