import { join } from "node:path";
import type { PseudoTtyInfo, ServerChannel, Session } from "ssh2";
import type { Inside } from "#process/inside.ts";
import { openSession } from "#process/sessions.ts";
import { enterRun } from "#process/ssh-runs.ts";
import { sftpWords } from "#process/tools.ts";
import type { Guest } from "./ssh-login.ts";
import { startProcess } from "./ssh-process.ts";
import type { ClientRelays } from "./ssh-relay.ts";
import { startTerminal, type Terminal } from "./ssh-terminal.ts";

/** What a client has said of a session before it starts something in it. */
interface Wishes {
  pty: PseudoTtyInfo | undefined;
  terminal: Terminal | undefined;
  readonly env: Record<string, string>;
  /** Where the client's agent is inside, once it asked for that. */
  agent: Promise<string | undefined> | undefined;
}

/** Says in the run's directory that somebody is at work there, for as long as this channel is open. */
export type SessionMark = (channel: ServerChannel, pid: number | undefined) => void;

/** A shell, a command or SFTP inside the run; variables only for the language, as OpenSSH's own default is in Debian. */
export function serveSession(session: Session, home: string, { run }: Guest, relays: ClientRelays): void {
  const wishes: Wishes = { pty: undefined, terminal: undefined, env: {}, agent: undefined };
  const begin = (channel: ServerChannel, wordsOf: (inside: Inside) => string[]) => {
    const mark: SessionMark = (open, pid) => void open.once("close", openSession(join(home, "runs", run), pid));
    void relays
      .answered()
      .then(() => enterRun(home, run))
      .then((inside) => start(channel, inside, wordsOf(inside), wishes, mark))
      .catch((error: unknown) => refuse(channel, error));
  };
  session.on("pty", (accept, _, info) => {
    wishes.pty = info;
    accept?.();
  });
  session.on("window-change", (accept, _, { cols, rows }) => {
    if (wishes.pty) wishes.pty = { ...wishes.pty, cols, rows };
    wishes.terminal?.resize(cols, rows);
    accept?.();
  });
  session.on("env", (accept, reject, { key, val }) => {
    if (!/^(?:LANG|LC_[A-Z]+)$/.test(key)) {
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
  session.on("shell", (accept) => begin(accept(), () => [...shell]));
  session.on("exec", (accept, _, { command }) => begin(accept(), () => ["/bin/sh", "-c", "--", command]));
  session.on("subsystem", (accept, reject, { name }) => {
    if (name === "sftp") begin(accept(), ({ isolation }) => sftpWords(home, isolation));
    else reject?.();
  });
}

/** The best shell that there is, as a login shell. */
const shell = ["/bin/sh", "-c", "command -v bash >/dev/null && exec bash -l; exec sh -l"] as const;

async function start(
  channel: ServerChannel,
  inside: Inside,
  words: readonly string[],
  wishes: Wishes,
  mark: SessionMark,
): Promise<void> {
  const agent = await wishes.agent;
  const env = { ...inside.env, ...wishes.env, ...(agent !== undefined && { SSH_AUTH_SOCK: agent }) };
  if (!wishes.pty) return startProcess(channel, { ...inside, env }, words, mark);
  wishes.terminal = await startTerminal(channel, { ...inside, env }, words, wishes.pty, mark);
}

function refuse(channel: ServerChannel, error: unknown): void {
  channel.stderr.write(`${error instanceof Error ? error.message : "The environment cannot be entered"}\r\n`);
  channel.exit(255);
  channel.end();
}
