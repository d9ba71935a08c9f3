import type { ServerChannel, Session } from "ssh2";
import type { ClientRelays } from "./ssh-relay.ts";
import type { SshRuns, Terminal, TerminalInfo, WantedSession } from "./ssh-runs.ts";

/** What a client has said of a session before it starts something in it. */
interface Wishes {
  pty: TerminalInfo | undefined;
  terminal: Terminal | undefined;
  readonly env: Record<string, string>;
  /** Where the client's agent is inside, once it asked for that. */
  agent: Promise<string | undefined> | undefined;
}

/** A shell, a command or SFTP inside the run; variables only for the language, as OpenSSH's own default is in Debian. */
export function serveSession(
  session: Session,
  runs: SshRuns,
  run: string,
  { relays, channels }: { readonly relays: ClientRelays; readonly channels: Set<ServerChannel> },
): void {
  const wishes: Wishes = { pty: undefined, terminal: undefined, env: {}, agent: undefined };
  const start = async (channel: ServerChannel, program: WantedSession["program"]) => {
    await relays.answered();
    const agent = await wishes.agent;
    const env = { ...wishes.env, ...(agent !== undefined && { SSH_AUTH_SOCK: agent }) };
    wishes.terminal = await runs.start(run, channel, { program, env, pty: () => wishes.pty });
    // Its window may have changed while it was being started.
    if (wishes.pty) wishes.terminal?.resize(wishes.pty.cols, wishes.pty.rows);
  };
  const begin = (channel: ServerChannel, program: WantedSession["program"]) => {
    channels.add(channel);
    channel.once("close", () => channels.delete(channel));
    session.once("close", () => letGo(channel));
    void start(channel, program).catch((error: unknown) => refuse(channel, error));
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
  session.on("shell", (accept) => begin(accept(), "shell"));
  session.on("exec", (accept, _, { command }) => begin(accept(), { command }));
  session.on("subsystem", (accept, reject, { name }) => {
    if (name === "sftp") begin(accept(), "sftp");
    else reject?.();
  });
}

/** A channel says that it is closed once all that came was read, and who is to read it may never do so. */
export function letGo(channel: ServerChannel): void {
  channel.unpipe();
  channel.resume();
}

function refuse(channel: ServerChannel, error: unknown): void {
  channel.stderr.write(`${error instanceof Error ? error.message : "The environment cannot be entered"}\r\n`);
  channel.exit(255);
  channel.end();
}
