import { readFileSync, realpathSync } from "node:fs";
import type { Server } from "node:net";
import { join } from "node:path";
import { type SshOptions, type SshServer, startSsh } from "#gateway/ssh/ssh.ts";
import { replaceFile } from "./home/secret-file.ts";
import { sshHostKey } from "./home/ssh-host-key.ts";
import { listen, listenAt } from "./server/listen.ts";

interface HomeSshOptions extends Omit<SshOptions, "hostKey" | "listen"> {
  readonly home: string;
  /** If undefined, the last port of this home is preferred. */
  readonly port: number | undefined;
}

/** Starts an SSH server whose host key and port are kept in a home. */
export async function startHomeSsh({ port, ...options }: HomeSshOptions): Promise<SshServer> {
  const home = realpathSync(options.home);
  return startSsh({ ...options, hostKey: sshHostKey(home), listen: (server) => listenFor(server, home, port) });
}

/** Listens, and returns the port. If there is no setting, it prefers the last port of this home. */
async function listenFor(server: Server, home: string, setting: number | undefined): Promise<number> {
  if (setting !== undefined) {
    return listen(server, setting, "Set SSH_PORT to another port, or leave it empty for any free port");
  }
  const port = await listenAt(server, keptSshPort(home)).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "EADDRINUSE") return listenAt(server, 0);
    throw error;
  });
  replaceFile(portPath(home), String(port));
  return port;
}

/** Returns the last SSH port of this home, so that printed ssh_commands keep working. 0: any free port. */
function keptSshPort(home: string): number {
  try {
    const port = Number(readFileSync(portPath(home), "utf8"));
    return Number.isInteger(port) && port > 0 && port < 65_536 ? port : 0;
  } catch {
    return 0;
  }
}

function portPath(home: string): string {
  return join(home, "ssh-port");
}
