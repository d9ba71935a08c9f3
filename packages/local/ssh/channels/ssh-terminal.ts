import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { getCompileCacheDir } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ServerChannel } from "ssh2";
import { signalGroup } from "#process/exec/exec-session.ts";
import { commandInside, type Inside } from "#process/runs/inside.ts";
import { systemPath } from "#process/sandbox/local-path.ts";
import { findProcess, type ProcessIdentity } from "#process/supervisor/process-identity.ts";
import { quoted } from "../../shell-text.ts";
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

/**
 * Returns a command that gives `words` a named terminal, or undefined if they have one. A sandbox has its own
 * devpts(5), so the machine's terminals have no name there. `script` of util-linux opens one inside and relays it. It
 * ends its command on SIGTERM, but not on SIGHUP. Linux limits the length of its one argument, so the words travel in
 * variables.
 */
function namedTerminal(inside: Inside, words: readonly string[]): string[] | undefined {
  const program = inside.sandbox ? findScript() : undefined;
  if (program === undefined) return undefined;
  // `script` starts $SHELL, which may name a missing program here.
  const { SHELL } = inside.env;
  const shellCommand = SHELL === undefined ? "unset SHELL" : `export SHELL=${quoted(SHELL)}`;
  const names = words.map((_, n) => `__berth_word_${n + 1}`);
  const unpack = `set -- ${names.map((name) => `"$${name}"`).join(" ")}; unset ${names.join(" ")}`;
  return ["/bin/sh", "-c", packAndStart, program, `${unpack}; ${shellCommand}; exec "$@"`, ...words];
}

const packAndStart = `
__berth_text=$1 __berth_count=0
shift
for __berth_word; do
  __berth_count=$((__berth_count + 1))
  export "__berth_word_$__berth_count=$__berth_word"
done
unset __berth_word
SHELL=/bin/sh exec "$0" -qec "$__berth_text" /dev/null`;

let knownScript: string | null | undefined;

/** Other implementations of `script` do not pass on exit codes. */
function findScript(): string | undefined {
  knownScript ??= locateScript() ?? null;
  return knownScript ?? undefined;
}

function locateScript(): string | undefined {
  const places = systemPath.split(":").map((directory) => join(directory, "script"));
  const program = places.find((path) => existsSync(path));
  if (program === undefined) return undefined;
  const { stdout } = spawnSync(program, ["--version"], { encoding: "utf8", timeout: 5_000 });
  return stdout?.includes("util-linux") ? program : undefined;
}
