import type { PseudoTtyInfo, ServerChannel } from "ssh2";
import { signalSessions } from "#process/exec-session.ts";
import { commandInside, type Inside } from "#process/inside.ts";
import { namedTerminal } from "#process/named-terminal.ts";
import { findProcess, type ProcessIdentity } from "#process/process-identity.ts";
import type { SessionMark } from "./ssh-session.ts";

export interface Terminal {
  resize(columns: number, rows: number): void;
}

/** Runs a command in a pseudo-terminal; throws where this platform has none. What runs in it hangs up with its client. */
export async function startTerminal(
  channel: ServerChannel,
  inside: Inside,
  words: readonly string[],
  { term, cols, rows }: PseudoTtyInfo & { readonly term?: string },
  mark: SessionMark,
): Promise<Terminal> {
  const { spawn } = await import("@lydell/node-pty").catch(() => {
    throw new Error("There are no terminals on this platform; commands work");
  });
  const env = { ...inside.env, TERM: /^[\w.+-]{1,64}$/.test(term ?? "") ? (term ?? "") : "xterm" };
  const named = namedTerminal({ ...inside, env }, words);
  const command = commandInside({ ...inside, env }, named ?? words);
  const size = { cols: bounded(cols, 80), rows: bounded(rows, 24) };
  const pty = spawn(command.file, [...command.args], {
    ...size,
    name: env.TERM,
    cwd: command.cwd,
    env: command.env,
    encoding: null,
  });
  pty.onData((data) => {
    if (!channel.write(data)) pty.pause();
  });
  channel.on("drain", () => pty.resume());
  channel.on("data", (data: Buffer) => pty.write(asWritten(data)));
  const leader = named && findProcess(pty.pid);
  channel.on("error", () => undefined).once("close", () => hangUp(pty, leader));
  mark(channel, pty.pid);
  pty.onExit(({ exitCode, signal }) => {
    channel.exit(signal ? 128 + signal : exitCode);
    channel.end();
  });
  return { resize: (columns, lines) => pty.resize(bounded(columns, size.cols), bounded(lines, size.rows)) };
}

/** What is written goes to a stream, which takes bytes as they are; the type knows of text alone. */
function asWritten(data: Buffer): string {
  return data as unknown as string;
}

const mostCells = 10_000;

function bounded(value: number, otherwise: number): number {
  return Number.isInteger(value) && value > 0 && value <= mostCells ? value : otherwise;
}

/** The leader of a session in which nothing is but who passes on to a terminal in a sandbox is asked to end. */
function hangUp(pty: { kill(signal: string): void }, leader: ProcessIdentity | undefined): void {
  try {
    if (leader) signalSessions([leader], "SIGTERM");
    pty.kill("SIGHUP");
  } catch {
    return;
  }
}
