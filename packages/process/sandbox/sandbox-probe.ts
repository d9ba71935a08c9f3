import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tryNetwork } from "../network/network-probe.ts";
import { enterCommand, refuseCommand } from "../runs/inside.ts";
import type { Isolation, Network } from "../runs/records.ts";
import { systemPath } from "./local-path.ts";
import { type Probe, probe, probeSync } from "./probe.ts";
import { sandboxOptions } from "./sandbox.ts";
import { giveUpRights } from "./sandbox-user.ts";
import { refusedCalls, refusing, withRefused } from "./system-calls.ts";

/** Reports whether bubblewrap works here and a later command can enter its sandbox. Throws `TooSlow` on a timeout. */
export function canSandbox(): boolean {
  const place = mkdtempSync(join(tmpdir(), "berth-probe-"));
  try {
    return probeSync("A sandbox", probeIn(place));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

async function trySandbox(): Promise<boolean> {
  const place = mkdtempSync(join(tmpdir(), "berth-probe-"));
  try {
    return await probe("A sandbox", probeIn(place));
  } finally {
    rmSync(place, { recursive: true, force: true });
  }
}

function probeIn(place: string): Probe {
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

/** Probes the possible isolation in the background. Rejects on a timeout: weaker isolation would be unsafe. */
export function findIsolation(): Promise<Isolated> {
  const found = tryAll();
  // Without this, a rejection before the caller awaits it would count as unhandled.
  found.catch(() => undefined);
  return found;
}

interface Isolated {
  readonly isolation: Isolation;
  readonly network: Network;
}

async function tryAll(): Promise<Isolated> {
  const [canSandbox, network] = await Promise.all([trySandbox(), tryNetwork()]);
  return canSandbox ? { isolation: "bubblewrap", network } : { isolation: "none", network: "shared" };
}
