import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { getCompileCacheDir } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Program, Terminal } from "#gateway/ports/reach.ts";
import { signalGroup } from "#process/exec/exec-session.ts";
import { commandInside, type Inside } from "#process/runs/inside.ts";
import { systemPath } from "#process/sandbox/local-path.ts";
import { findProcess } from "#process/supervisor/process-identity.ts";
import { quoted } from "../shell-text.ts";
import type { MarkSession } from "./process-program.ts";
import type { TerminalSize, WantedTerminal } from "./pseudo-terminal.ts";
import type { TerminalNews } from "./terminal-host.ts";

const host = fileURLToPath(new URL("terminal-host.ts", import.meta.url));

/** Runs a command in a pseudo-terminal. Throws if this platform has none. */
export async function startTerminal(
  inside: Inside,
  words: readonly string[],
  { term, columns, lines }: Terminal,
  mark: MarkSession,
): Promise<Program> {
  const { isNamed, ...command } = terminalCommand(inside, words, term);
  const holder = startHolder();
  let exitCode = 255;
  holder.on("message", (news: TerminalNews) => {
    if ("exitCode" in news) exitCode = news.exitCode;
  });
  // Unlike `once`, this never rejects if the holder ends during a send.
  const closed = new Promise<[null]>((resolve) => holder.once("close", () => resolve([null])));
  holder.send({ ...command, columns, lines } satisfies WantedTerminal);
  const first = await Promise.race([once(holder, "message"), closed]);
  const [begun] = first as [TerminalNews | number | null];
  if (typeof begun !== "object" || begun === null || !("pid" in begun)) {
    throw new Error("There are no terminals on this platform; commands work");
  }
  const leader = isNamed ? findProcess(begun.pid) : undefined;
  const unmark = mark(begun.pid);
  return {
    input: holder.stdin,
    output: holder.stdout,
    ended: closed.then(() => ({ exitCode })),
    resize: (columns, lines) =>
      void (holder.connected && holder.send({ columns, lines } satisfies TerminalSize, ignore)),
    hangUp: async () => {
      unmark();
      // A named terminal in a sandbox is one process group.
      if (leader) signalGroup(leader, "SIGTERM");
      if (holder.connected) holder.disconnect();
    },
  };
}

const ignore = () => undefined;

/** Returns the command that runs `words` in a terminal. If `isNamed`, it gets its own process group in a sandbox. */
export function terminalCommand(inside: Inside, words: readonly string[], term: string) {
  const env = { ...inside.env, TERM: term };
  const inTerminal = [...namingTerminal, ...words];
  const named = namedTerminal({ ...inside, env }, inTerminal);
  return { ...commandInside({ ...inside, env }, named ?? inTerminal), isNamed: named !== undefined };
}

/** Only a process inside can find the name of its terminal. */
const namingTerminal = ["/bin/sh", "-c", 'SSH_TTY=$(tty 2>/dev/null) && export SSH_TTY; exec "$0" "$@"'];

type Holder = ChildProcess & {
  readonly stdin: NonNullable<ChildProcess["stdin"]>;
  readonly stdout: NonNullable<ChildProcess["stdout"]>;
};

function startHolder(): Holder {
  const holder = spawn(process.execPath, holderWords(host), {
    detached: true,
    env: holderEnvironment(),
    stdio: ["pipe", "pipe", "ignore", "ipc"],
  }) as Holder;
  for (const stream of [holder, holder.stdin, holder.stdout]) stream.on("error", () => undefined);
  return holder;
}

export function holderWords(program: string): string[] {
  return ["--max-semi-space-size=1", program];
}

export function holderEnvironment(): Record<string, string> {
  const compiled = process.env.NODE_COMPILE_CACHE ?? dirname(getCompileCacheDir() ?? "");
  return { PATH: systemPath, ...(compiled !== "." && { NODE_COMPILE_CACHE: compiled }) };
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
