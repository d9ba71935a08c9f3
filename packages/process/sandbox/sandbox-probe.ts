import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { enterCommand, refuseCommand } from "../runs/inside.ts";
import { systemPath } from "./environment.ts";
import { sandboxOptions } from "./sandbox.ts";
import { giveUpRights } from "./sandbox-user.ts";
import { refusedCalls, refusing, withRefused } from "./system-calls.ts";
import { type Attempted, tryHere, worksHere } from "./works-here.ts";

/** Reports whether bubblewrap works here and a later command can enter its sandbox. Throws `TooSlow` on a timeout. */
export function canSandbox(): boolean {
  const place = mkdtempSync(join(tmpdir(), "berth-probe-"));
  try {
    return worksHere("A sandbox", attemptIn(place));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

export async function trySandbox(): Promise<boolean> {
  const place = mkdtempSync(join(tmpdir(), "berth-probe-"));
  try {
    return await tryHere("A sandbox", attemptIn(place));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function attemptIn(place: string): Attempted {
  const home = join(place, "home");
  const options = sandboxOptions({
    home,
    work: undefined,
    start: undefined,
    binds: [],
    programs: [],
    memoryMb: null,
    network: "shared",
    env: {},
  });
  const refused = refusedCalls(home, { isCounted: false });
  const shell = [...giveUpRights(), "/bin/sh", "-c"];
  const first = withRefused(refused, ["bwrap", ...options, ...refusing, "--info-fd", "3", "--", ...shell]);
  const later = withRefused(refused, [...enterCommand("$pid", "shared"), ...refuseCommand(), ...shell]);
  const words = script([...first, "echo on; read _"], [...later, "test -w /tmp"]);
  return { program: "/bin/sh", words: ["-c", words], env: { PATH: systemPath, PLACE: place } };
}

function script(first: readonly string[], later: readonly string[]): string {
  return `
    cd "$PLACE" && mkfifo input output || exit 1
    ${first.map(quoted).join(" ")} <input >output 3>info & sandbox=$!
    exec 4>input 5<output
    read -r _ <&5
    pid=$(sed -n 's/.*"child-pid": *\\([0-9]*\\).*/\\1/p' <info)
    [ -n "$pid" ] && ${later.map((word) => (word === "$pid" ? '"$pid"' : quoted(word))).join(" ")}
    entered=$?
    exec 4>&-
    wait $sandbox
    exit $entered
  `;
}

function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}
