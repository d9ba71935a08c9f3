import { constants } from "node:os";
import type { ServerChannel, Session } from "ssh2";
import { printableText } from "#core/text/printable-text.ts";
import type { SshNotices } from "../ssh-notices.ts";
import type { ClientRelays } from "./ssh-relay.ts";
import type { ClientAddress, SshRuns, Started, TerminalInfo, WantedSession } from "./ssh-runs.ts";

interface Wishes {
  pty: TerminalInfo | undefined;
  started: Started | undefined;
  readonly env: Record<string, string>;
  agent: Promise<string | undefined> | undefined;
}

interface SessionPlace {
  readonly relays: ClientRelays;
  readonly login: string;
  readonly from: ClientAddress;
  readonly notices: SshNotices;
  readonly keep: (channel: ServerChannel) => void;
  /** Call once the whole session has ended. */
  readonly giveBack: () => void;
}

const MOST_VARIABLES = 32;
const MOST_VALUE_CHARACTERS = 256;

/** Serves a shell, a command or SFTP inside the run. Accepts only locale variables, as OpenSSH does in Debian. */
export function serveSession(session: Session, runs: SshRuns, run: string, place: SessionPlace): void {
  const { relays, keep, giveBack } = place;
  const wishes: Wishes = { pty: undefined, started: undefined, env: {}, agent: undefined };
  let begun: ServerChannel | undefined;
  session.once("close", () => (begun ? letGo(begun) : giveBack()));
  // ssh2 accepts one program per session and passes undefined for further requests.
  const begin = (channel: ServerChannel | undefined, program: WantedSession["program"]) => {
    if (!channel) return;
    begun = channel;
    keep(channel);
    // ssh2 ends this stream when the client closes the channel. Without a listener a later write would crash the
    // stack.
    channel.stderr.on("error", () => undefined);
    let isClosed = false;
    channel.once("close", () => {
      isClosed = true;
      giveBack();
    });
    void startProgram(channel, program, { runs, run, wishes, place })
      // Repeat the close event for listeners that were attached after it.
      .then(() => isClosed && channel.emit("close"))
      .catch((error: unknown) => refuse(channel, error));
  };
  takeWishes(session, wishes, relays);
  session.on("shell", (accept) => begin(accept(), "shell"));
  session.on("exec", (accept, _, { command }) => begin(accept(), { command }));
  session.on("subsystem", (accept, reject, { name }) => {
    if (name === "sftp") begin(accept(), "sftp");
    else reject?.();
  });
}

/** Records what the client sets before and after a program starts, and passes changes and signals to that program. */
function takeWishes(session: Session, wishes: Wishes, relays: ClientRelays): void {
  session.on("pty", (accept, _, info) => {
    wishes.pty = info;
    accept?.();
  });
  session.on("window-change", (accept, _, { cols, rows }) => {
    if (wishes.pty) wishes.pty = { ...wishes.pty, cols, rows };
    wishes.started?.resize(cols, rows);
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
  session.on("signal", (_, __, { name }) => {
    if (Object.hasOwn(constants.signals, `SIG${name}`)) wishes.started?.signal?.(`SIG${name}` as NodeJS.Signals);
  });
}

interface StartPlace {
  readonly runs: SshRuns;
  readonly run: string;
  readonly wishes: Wishes;
  readonly place: SessionPlace;
}

async function startProgram(
  channel: ServerChannel,
  program: WantedSession["program"],
  { runs, run, wishes, place: { login, relays, from, notices } }: StartPlace,
): Promise<void> {
  if (typeof program === "object") checkCommand(program.command);
  await relays.answered();
  const agent = await wishes.agent;
  const env = { ...wishes.env, ...connectionVariables(from), ...(agent !== undefined && { SSH_AUTH_SOCK: agent }) };
  if (wishes.pty) notices.attach({ run, login }, channel, { isLogin: program === "shell" });
  const sayGoodbye = (isCut: boolean) => notices.sayGoodbye(run, isCut);
  wishes.started = await runs.start(run, channel, { program, env, pty: () => wishes.pty, sayGoodbye });
  // The window may have changed during the start.
  if (wishes.pty) wishes.started?.resize(wishes.pty.cols, wishes.pty.rows);
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
