import { constants } from "node:os";
import type { PseudoTtyInfo, ServerChannel, Session } from "ssh2";
import { printableText } from "#core/text/printable-text.ts";
import type { Program, Reach, Terminal, WantedProgram } from "../../ports/reach.ts";
import type { SshNotices } from "../ssh-notices.ts";
import { joinProgram } from "./ssh-program.ts";
import type { ClientRelays } from "./ssh-relay.ts";

export interface ClientAddress {
  readonly ip: string;
  readonly port: number;
  readonly serverPort: number;
}

interface Wishes {
  terminal: Terminal | undefined;
  started: Program | undefined;
  readonly env: Record<string, string>;
  agent: Promise<string | undefined> | undefined;
}

interface SessionPlace {
  readonly relays: ClientRelays;
  readonly login: string;
  readonly from: ClientAddress;
  readonly notices: SshNotices;
  readonly keep: (channel: ServerChannel) => void;
  /** Resolves at the end of the connection, where ssh2 does not close a session without a program. */
  readonly gone: Promise<void>;
}

const MOST_VARIABLES = 32;
const MOST_VALUE_CHARACTERS = 256;

/**
 * Serves a shell, a command or SFTP inside the run. Accepts only locale variables, as OpenSSH does in Debian. Resolves
 * once the session has closed and no start or hang-up of its program goes on.
 */
export async function serveSession(session: Session, reach: Reach, run: string, place: SessionPlace): Promise<void> {
  const { relays, keep, gone } = place;
  const wishes: Wishes = { terminal: undefined, started: undefined, env: {}, agent: undefined };
  let begun: ServerChannel | undefined;
  let serving: Promise<void> | undefined;
  const { promise: closed, resolve: close } = Promise.withResolvers<void>();
  session.once("close", () => (begun ? letGo(begun) : close()));
  // ssh2 accepts one program per session and passes undefined for further requests.
  const begin = (channel: ServerChannel | undefined, program: WantedProgram["program"]) => {
    if (!channel) return;
    begun = channel;
    keep(channel);
    // ssh2 ends this stream when the client closes the channel. Without a listener a later write would crash the
    // stack.
    channel.stderr.on("error", () => undefined);
    serving = serveProgram(channel, program, { reach, run, wishes, place });
    void serving.then(close);
  };
  takeWishes(session, wishes, relays);
  session.on("shell", (accept) => begin(accept(), "shell"));
  session.on("exec", (accept, _, { command }) => begin(accept(), { command }));
  session.on("subsystem", (accept, reject, { name }) => {
    if (name === "sftp") begin(accept(), "sftp");
    else reject?.();
  });
  await Promise.race([closed, gone]);
  await serving;
}

/** Resolves once the channel has closed and its program is hung up. */
async function serveProgram(
  channel: ServerChannel,
  program: WantedProgram["program"],
  startPlace: StartPlace,
): Promise<void> {
  let isClosed = false;
  const closed = new Promise<void>((resolve) => {
    channel.once("close", () => {
      isClosed = true;
      resolve();
    });
  });
  const { wishes, place } = startPlace;
  await Promise.race([Promise.all([place.relays.answered(), wishes.agent]), closed]);
  if (isClosed) return;
  try {
    await startProgram(channel, program, startPlace);
  } catch (error) {
    refuse(channel, error);
  }
  // Repeat the close event for listeners that were attached after it.
  if (isClosed) channel.emit("close");
  await closed;
  await wishes.started?.hangUp();
}

/** Records what the client sets before and after a program starts, and passes changes and signals to that program. */
function takeWishes(session: Session, wishes: Wishes, relays: ClientRelays): void {
  session.on("pty", (accept, _, info) => {
    wishes.terminal = getTerminal(info);
    accept?.();
  });
  session.on("window-change", (accept, _, { cols, rows }) => {
    if (wishes.terminal) {
      wishes.terminal = withSize(wishes.terminal, cols, rows);
      wishes.started?.resize(wishes.terminal.columns, wishes.terminal.lines);
    }
    accept?.();
  });
  session.on("env", (accept, reject, { key, val }) => {
    const isKnown = key in wishes.env || Object.keys(wishes.env).length < MOST_VARIABLES;
    if (!/^(?:LANG|LC_[A-Z]{1,32})$/.test(key) || !isKnown || val.length > MOST_VALUE_CHARACTERS) {
      reject?.();
      return;
    }
    wishes.env[key] = val;
    accept?.();
  });
  session.on("auth-agent", (accept) => {
    wishes.agent = relays.agent();
    accept?.();
  });
  session.on("signal", (_, reject, { name }) => {
    // This does nothing once a program has started: `answerRequests` answers then.
    reject?.();
    if (Object.hasOwn(constants.signals, `SIG${name}`)) wishes.started?.signal?.(`SIG${name}` as NodeJS.Signals);
  });
}

interface StartPlace {
  readonly reach: Reach;
  readonly run: string;
  readonly wishes: Wishes;
  readonly place: SessionPlace;
}

async function startProgram(
  channel: ServerChannel,
  program: WantedProgram["program"],
  { reach, run, wishes, place: { login, from, notices } }: StartPlace,
): Promise<void> {
  if (typeof program === "object") checkCommand(program.command);
  const agent = await wishes.agent;
  const env = { ...wishes.env, ...connectionVariables(from), ...(agent !== undefined && { SSH_AUTH_SOCK: agent }) };
  const { terminal } = wishes;
  if (terminal) await notices.attach({ run, login }, channel, { isLogin: program === "shell" });
  const started = await reach.start(run, { program, env, terminal });
  wishes.started = started;
  const sayGoodbye = (isCut: boolean) => notices.sayGoodbye(run, isCut);
  joinProgram(channel, started, { hasTerminal: terminal !== undefined, sayGoodbye });
  // The window may have changed during the start.
  if (wishes.terminal !== terminal && wishes.terminal) started.resize(wishes.terminal.columns, wishes.terminal.lines);
}

function getTerminal({ cols, rows, term = "" }: PseudoTtyInfo & { readonly term?: string }): Terminal {
  const name = /^[\w.+-]{1,64}$/.test(term) ? term : "xterm";
  return withSize({ term: name, columns: 80, lines: 24 }, cols, rows);
}

/** Keeps a side whose new size makes no sense. */
function withSize(terminal: Terminal, columns: number, lines: number): Terminal {
  const sides = { ...(isSize(columns) && { columns }), ...(isSize(lines) && { lines }) };
  return { ...terminal, ...sides };
}

const mostCells = 10_000;

function isSize(cells: number): boolean {
  return Number.isInteger(cells) && cells > 0 && cells <= mostCells;
}

/** Returns the client address variables of sshd (ssh(1), ENVIRONMENT). */
function connectionVariables({ ip, port, serverPort }: ClientAddress): Record<string, string> {
  return { SSH_CLIENT: `${ip} ${port} ${serverPort}`, SSH_CONNECTION: `${ip} ${port} 127.0.0.1 ${serverPort}` };
}

/** Linux's MAX_ARG_STRLEN (execve(2)) without the closing 0: a command is one argument of its shell. */
const MOST_COMMAND_BYTES = 128 * 1024 - 1;

/** Throws an error for the user if Linux cannot run this command. */
function checkCommand(command: string): void {
  const bytes = Buffer.byteLength(command);
  const most = `Linux takes at most ${MOST_COMMAND_BYTES}: send it on standard input (ssh ... bash < file)`;
  if (bytes > MOST_COMMAND_BYTES) throw new Error(`The command has ${bytes} bytes, and ${most}`);
  if (command.includes("\0")) throw new Error("The command contains a byte 0, which no command of Linux can have");
}

/** Drains a channel: ssh2 reports the close only after all input was read. */
export function letGo(channel: ServerChannel): void {
  channel.unpipe();
  channel.resume();
}

function refuse(channel: ServerChannel, error: unknown): void {
  channel.stderr.write(
    `${printableText(error instanceof Error ? error.message : "The environment cannot be entered")}\r\n`,
  );
  channel.exit(255);
  channel.end();
}
