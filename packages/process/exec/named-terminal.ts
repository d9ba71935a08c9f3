import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Inside } from "../runs/inside.ts";
import { systemPath } from "../sandbox/environment.ts";

/**
 * The words that give a command the terminal in which it is started, or undefined where that has its name already. A
 * sandbox has terminals of its own (devpts(5)) and no name for one of the machine's, so `script` of util-linux opens
 * one of those inside and passes on what is typed and shown, sizes and exit codes. It ends at SIGTERM and with it what
 * runs in there; at SIGHUP it does not. It takes one text, in which a long command in quotes would be longer than Linux
 * lets one argument be, so the words come in variables.
 */
export function namedTerminal(inside: Inside, words: readonly string[]): string[] | undefined {
  const program = inside.sandbox ? findScript() : undefined;
  if (program === undefined) return undefined;
  // It starts $SHELL, which is the environment's own affair and may not be there.
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

/** null: there is none. */
let knownScript: string | null | undefined;

/** Other programs of this name know no exit codes. */
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

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
