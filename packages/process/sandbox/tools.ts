import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { LaunchPlan } from "../runs/plan.ts";
import type { Isolation } from "../runs/records.ts";
import { isOnPath } from "./local-path.ts";

const sftpDirectory = fileURLToPath(new URL("../sftp/", import.meta.url));
const binDirectory = fileURLToPath(new URL("../bin", import.meta.url));

/** What a sandbox shows of ours, read-only: the Node that runs this and the SFTP server. */
export function toolPlaces(home: string): string[] {
  return [
    // For everybody: bubblewrap would make the directory for its own user alone.
    ...["--perms", "0755", "--dir", join(home, "tools")],
    ...["--ro-bind", process.execPath, join(home, "tools/node")],
    ...["--ro-bind", sftpDirectory, join(home, "tools/sftp")],
    ...["--ro-bind", binDirectory, join(home, "tools/bin")],
  ];
}

/** Programs that every image is to have, for what the machine lacks of them, as a run sees their directory. */
export function spareBin(home: string, isolation: Isolation): string {
  return isolation === "none" ? binDirectory : join(home, "tools/bin");
}

/** Whether a run's `python` is the one among these. */
export function hasSparePython({ env, programs }: Pick<LaunchPlan, "env" | "programs">): boolean {
  return env.PATH === undefined && !isOnPath("python", programs.path) && isOnPath("python3", programs.path);
}

/** The words that start the SFTP server inside a run. */
export function sftpCommand(home: string, isolation: Isolation): string[] {
  return programWords(home, isolation, "server.ts");
}

/** The words that start a relay inside a run: `dial`, `tcp`, `unix` or `agent`, and where. */
export function relayCommand(home: string, isolation: Isolation, command: readonly string[]): string[] {
  return [...programWords(home, isolation, "relay.ts"), ...command];
}

function programWords(home: string, isolation: Isolation, file: string): string[] {
  const isBare = isolation === "none";
  const node = isBare ? process.execPath : join(home, "tools/node");
  const program = join(isBare ? sftpDirectory : join(home, "tools/sftp"), file);
  return [node, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", program];
}
