import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LaunchPlan } from "../runs/plan.ts";
import type { Isolation } from "../runs/records.ts";
import { isOnPath } from "./local-path.ts";

const sftpDirectory = fileURLToPath(new URL("../sftp/", import.meta.url));
const relayDirectory = fileURLToPath(new URL("../../relay/", import.meta.url));
const binDirectory = fileURLToPath(new URL("../bin", import.meta.url));

/** Returns the options that show Berth's own tools read-only: Node, the SFTP server, the relay and the spare programs. */
export function toolPlaces(home: string): string[] {
  return [
    // bubblewrap would create the directory only for its own user.
    ...["--perms", "0755", "--dir", join(home, "tools")],
    ...["--ro-bind", process.execPath, join(home, "tools/node")],
    ...["--ro-bind", sftpDirectory, join(home, "tools/sftp")],
    ...["--ro-bind", relayDirectory, join(home, "tools/relay")],
    ...["--ro-bind", binDirectory, join(home, "tools/bin")],
  ];
}

/** Returns the directory, as a run sees it, of programs that every image should have and this machine may lack. */
export function spareBin(home: string, isolation: Isolation): string {
  return isolation === "none" ? binDirectory : join(home, "tools/bin");
}

export function hasSparePython({ env, programs }: Pick<LaunchPlan, "env" | "programs">): boolean {
  return env.PATH === undefined && !isOnPath("python", programs.path) && isOnPath("python3", programs.path);
}

export function sftpCommand(home: string, isolation: Isolation): string[] {
  return programWords(home, isolation, sftpDirectory, "server.ts");
}

/** Returns the command that starts a relay inside a run: `dial`, `tcp`, `unix` or `agent`, and its target. */
export function relayCommand(home: string, isolation: Isolation, command: readonly string[]): string[] {
  return [...programWords(home, isolation, relayDirectory, "program.ts"), ...command];
}

function programWords(home: string, isolation: Isolation, directory: string, file: string): string[] {
  const isBare = isolation === "none";
  const node = isBare ? process.execPath : join(home, "tools/node");
  const program = join(isBare ? directory : join(home, "tools", basename(directory)), file);
  return [node, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", program];
}
