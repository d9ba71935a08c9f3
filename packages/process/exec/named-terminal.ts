import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { Inside } from "../runs/inside.ts";
import { systemPath } from "../sandbox/environment.ts";

/**
 * Returns a command that gives `words` a named terminal, or undefined if they have one. A sandbox has its own
 * devpts(5), so the machine's terminals have no name there. `script` of util-linux opens one inside and relays it. It
 * ends its command on SIGTERM, but not on SIGHUP. Linux limits the length of its one argument, so the words travel in
 * variables.
 */
export function namedTerminal(inside: Inside, words: readonly string[]): string[] | undefined {
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

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
