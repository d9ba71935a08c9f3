import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { getCompileCacheDir } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import type { ServerChannel } from "ssh2";
import { signalGroup } from "#process/exec/exec-session.ts";
import { namedTerminal } from "#process/exec/named-terminal.ts";
import { commandInside, type Inside } from "#process/runs/inside.ts";
import { systemPath } from "#process/sandbox/environment.ts";
import { findProcess, type ProcessIdentity } from "#process/supervisor/process-identity.ts";
import { cells, getTerm, mayBeCut, type Started, type TerminalInfo } from "./ssh-runs.ts";
import type { TerminalNews, TerminalSize, WantedTerminal } from "./terminal-host.ts";

const host = fileURLToPath(new URL("terminal-host.ts", import.meta.url));

interface TerminalHooks {
  readonly mark: (pid: number | undefined) => void;
  readonly beforeEnd: (isCut: boolean) => Promise<void>;
}

/** Runs a command in a pseudo-terminal, which hangs up with its client. Throws if this platform has none. */
export async function startTerminal(
  channel: ServerChannel,
  inside: Inside,
  words: readonly string[],
  info: TerminalInfo,
  { mark, beforeEnd }: TerminalHooks,
): Promise<Started> {
  const env = { ...inside.env, TERM: getTerm(info) };
  const inTerminal = [...namingTerminal, ...words];
  const named = namedTerminal({ ...inside, env }, inTerminal);
  const { file, args, cwd, env: commandEnv } = commandInside({ ...inside, env }, named ?? inTerminal);
  const size = { columns: cells(info.cols, 80), lines: cells(info.rows, 24) };
  const holder = startHolder();
  let leader: ProcessIdentity | undefined;
  channel
    .on("error", () => undefined)
    .once("close", () => {
      // A named terminal in a sandbox is one process group.
      if (leader) signalGroup(leader, "SIGTERM");
      if (holder.connected) holder.disconnect();
    });
  let exitCode = 255;
  holder.on("message", (news: TerminalNews) => {
    if ("exitCode" in news) exitCode = news.exitCode;
  });
  // Unlike `once`, this never rejects if the holder ends during a send.
  const ended = new Promise<[null]>((resolve) => holder.once("close", () => resolve([null])));
  holder.send({ file, args, cwd, env: commandEnv, ...size } satisfies WantedTerminal);
  const first = await Promise.race([once(holder, "message"), ended]);
  const [begun] = first as [TerminalNews | number | null];
  if (typeof begun !== "object" || begun === null || !("pid" in begun)) {
    throw new Error("There are no terminals on this platform; commands work");
  }
  leader = named && findProcess(begun.pid);
  mark(begun.pid);
  channel.pipe(holder.stdin);
  holder.stdout.pipe(channel, { end: false });
  void ended.then(async () => {
    await beforeEnd(mayBeCut(exitCode));
    channel.exit(exitCode);
    channel.end();
  });
  const resize = (next: TerminalSize) => void (holder.connected && holder.send(next, () => undefined));
  return {
    resize: (columns, lines) => resize({ columns: cells(columns, size.columns), lines: cells(lines, size.lines) }),
  };
}

/** Only a process inside can find the name of its terminal. */
const namingTerminal = ["/bin/sh", "-c", 'SSH_TTY=$(tty 2>/dev/null) && export SSH_TTY; exec "$0" "$@"'];

type Holder = ChildProcess & {
  readonly stdin: NonNullable<ChildProcess["stdin"]>;
  readonly stdout: NonNullable<ChildProcess["stdout"]>;
};

function startHolder(): Holder {
  const compiled = process.env.NODE_COMPILE_CACHE ?? dirname(getCompileCacheDir() ?? "");
  const holder = spawn(process.execPath, ["--max-semi-space-size=1", host], {
    detached: true,
    env: { PATH: systemPath, ...(compiled !== "." && { NODE_COMPILE_CACHE: compiled }) },
    stdio: ["pipe", "pipe", "ignore", "ipc"],
  }) as Holder;
  for (const stream of [holder, holder.stdin, holder.stdout]) stream.on("error", () => undefined);
  return holder;
}
