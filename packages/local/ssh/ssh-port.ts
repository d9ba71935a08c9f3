import { readFileSync } from "node:fs";
import { join } from "node:path";
import { replaceFile } from "../home/secret-file.ts";

/** Returns the last SSH port of this home, so that printed ssh_commands keep working. 0: any free port. */
export function keptSshPort(home: string): number {
  try {
    const port = Number(readFileSync(portPath(home), "utf8"));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : 0;
  } catch {
    return 0;
  }
}

export function keepSshPort(home: string, port: number): void {
  replaceFile(portPath(home), String(port));
}

function portPath(home: string): string {
  return join(home, "ssh-port");
}
