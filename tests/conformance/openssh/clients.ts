import { type ChildProcess, execFile, spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { SshKeyPair } from "#gateway/ssh/login/ssh-keys.ts";
import { keyFile } from "#gateway/ssh/ssh-fixture.ts";
import { eventually } from "#process/fixture.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";

/** Output of a program that has ended. */
interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** The programs of OpenSSH in front of one SSH server. */
export interface OpenSshClients {
  readonly address: string;
  /** Options, and then the words of a command there. */
  ssh(options: readonly string[], ...words: string[]): Promise<Answer>;
  /** One that stays; it is killed when the clients are closed. */
  stay(options: readonly string[], ...words: string[]): ChildProcess;
  scp(...words: string[]): Promise<Answer>;
  /** Command line up to the address, for programs that start the client themselves. */
  readonly sshLine: string;
  /** Runs a program of this machine, with the time limit of the other calls. */
  run(file: string, words: readonly string[], input?: string, env?: Record<string, string>): Promise<Answer>;
  sftp(batch: string): Promise<Answer>;
  /** Starts an agent with the key of the clients, and returns its socket. It ends with the clients. */
  startAgent(): Promise<string>;
}

interface ClientPlace {
  /** Folder for the files of the clients. */
  readonly root: string;
  readonly key: SshKeyPair;
  readonly login: string;
  readonly port: number;
}

export function openSshClients({ root, key, login, port }: ClientPlace): OpenSshClients & { close(): void } {
  const settings = [
    ...["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "LogLevel=ERROR"],
    ...["BatchMode=yes", "ExitOnForwardFailure=yes"],
  ];
  const identity = keyFile(root, key);
  const options = ["-F", "/dev/null", "-i", identity, ...settings.flatMap((setting) => ["-o", setting])];
  const address = `${login}@127.0.0.1`;
  const staying = new Set<ChildProcess>();
  const sshWords = (ownOptions: readonly string[], words: readonly string[]) => {
    return ["-p", String(port), ...options, ...ownOptions, ...["-o", "IdentityAgent=none"], address, ...words];
  };
  return {
    address,
    sshLine: ["ssh", "-p", port, ...options, "-o", "IdentityAgent=none"].join(" "),
    run,
    ssh: (ownOptions, ...words) => run("ssh", sshWords(ownOptions, words)),
    stay: (ownOptions, ...words) => {
      const child = spawn("ssh", sshWords(ownOptions, words), { stdio: ["ignore", "pipe", "pipe"] });
      staying.add(child);
      return child;
    },
    scp: (...words) => run("scp", ["-P", String(port), ...options, ...words]),
    sftp: (batch) => run("sftp", ["-P", String(port), ...options, "-b", "-", address], batch),
    startAgent: async () => {
      const socket = join(root, "agent");
      staying.add(spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" }));
      await eventually(
        () => existsSync(socket),
        (isThere) => isThere,
      );
      await run("ssh-add", ["-q", identity], "", { SSH_AUTH_SOCK: socket });
      return socket;
    },
    close: () => {
      for (const child of staying) child.kill();
    },
  };
}

function run(file: string, words: readonly string[], input = "", env: Record<string, string> = {}) {
  const options = { timeout: PATIENCE_MS, env: { ...process.env, ...env } };
  return new Promise<Answer>((resolve) => {
    const child = execFile(file, words, options, (error, out, err) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, out, err });
    });
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
