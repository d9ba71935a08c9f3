import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Isolation } from "./records.ts";

const sftpDirectory = fileURLToPath(new URL("./sftp/", import.meta.url));

/** What a sandbox shows of ours, read-only: the Node that runs this, and the SFTP server. */
export function toolPlaces(home: string): string[] {
  return [
    ...["--ro-bind", process.execPath, join(home, "tools/node")],
    ...["--ro-bind", sftpDirectory, join(home, "tools/sftp")],
  ];
}

/** The words that start the SFTP server inside a run. */
export function sftpWords(home: string, isolation: Isolation): string[] {
  const isBare = isolation === "none";
  const node = isBare ? process.execPath : join(home, "tools/node");
  const server = join(isBare ? sftpDirectory : join(home, "tools/sftp"), "server.ts");
  return [node, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", server];
}
