import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemPath } from "./environment.ts";
import { enteringWords } from "./inside.ts";
import { sandboxOptions } from "./sandbox.ts";
import { giveUpRights } from "./sandbox-user.ts";

/**
 * Whether bubblewrap is here, can make the sandbox that runs get (in many containers it cannot), and lets a command in
 * that comes later: for a plain user the one may work and the other not.
 */
export function canSandbox(): boolean {
  const place = mkdtempSync(join(tmpdir(), "berth-probe-"));
  try {
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
    const first = ["bwrap", ...options, "--info-fd", "3", "--", ...giveUpRights(), "/bin/sh", "-c", "echo on; read _"];
    const later = [...enteringWords("$pid", "shared"), ...giveUpRights(), "/bin/sh", "-c", "test -w /tmp"];
    const env = { PATH: systemPath, PLACE: place };
    const { status } = spawnSync("/bin/sh", ["-c", script(first, later)], { env, stdio: "ignore", timeout: 10_000 });
    return status === 0;
  } catch {
    return false;
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

/** Starts the one, enters it with the other, and lets both end. */
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
