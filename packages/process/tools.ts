import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Isolation } from "./records.ts";

const sftpDirectory = fileURLToPath(new URL("./sftp/", import.meta.url));
const standIn = fileURLToPath(new URL("./stand-in.ts", import.meta.url));
const binDirectory = fileURLToPath(new URL("./bin", import.meta.url));

/** What a sandbox shows of ours, read-only: the Node that runs this, the SFTP server and the stand-in. */
export function toolPlaces(home: string): string[] {
  return [
    // For everybody: bubblewrap would make the directory for its own user alone.
    ...["--perms", "0755", "--dir", join(home, "tools")],
    ...["--ro-bind", process.execPath, join(home, "tools/node")],
    ...["--ro-bind", sftpDirectory, join(home, "tools/sftp")],
    ...["--ro-bind", standIn, join(home, "tools/stand-in.ts")],
    ...["--ro-bind", binDirectory, join(home, "tools/bin")],
  ];
}

/** Programs that every image is to have, for what the machine lacks of them, as a run sees their directory. */
export function spareBin(home: string, isolation: Isolation): string {
  return isolation === "none" ? binDirectory : join(home, "tools/bin");
}

/** The words that start the SFTP server inside a run. */
export function sftpWords(home: string, isolation: Isolation): string[] {
  const isBare = isolation === "none";
  return nodeWords(home, isolation, join(isBare ? sftpDirectory : join(home, "tools/sftp"), "server.ts"));
}

/** The words that start the stand-in inside a run. */
export function standInWords(home: string, isolation: Isolation): string[] {
  return nodeWords(home, isolation, isolation === "none" ? standIn : join(home, "tools/stand-in.ts"));
}

function nodeWords(home: string, isolation: Isolation, program: string): string[] {
  const node = isolation === "none" ? process.execPath : join(home, "tools/node");
  return [node, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", program];
}
