import { type ChildProcess, execFile, spawn, spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import type { VolumeRef } from "#core/ports/volumes.ts";
import { eventually } from "#process/fixture.ts";
import { PATIENCE_MS } from "#process/patience-fixture.ts";
import type { Isolation } from "#process/runs/records.ts";
import { canSandbox } from "#process/sandbox/sandbox-probe.ts";
import { processVolumes } from "#process/volumes/volumes.ts";
import { keyFile, openSshFixture, type SshFixture } from "./ssh-fixture.ts";

/** Output of a program that has ended. */
interface Answer {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** A run with an SSH server in front, and the programs of OpenSSH before it, for tests. */
export interface OpenSshFixture extends SshFixture {
  readonly address: string;
  /** The Node that processes of the run see. */
  readonly nodeInside: string;
  /** Options, and then the words of a command there. */
  ssh(options: readonly string[], ...words: string[]): Promise<Answer>;
  /** One that stays; it is killed when the fixture is closed. */
  stay(options: readonly string[], ...words: string[]): ChildProcess;
  scp(...words: string[]): Promise<Answer>;
  /** Command line up to the address, for programs that start the client themselves. */
  readonly sshLine: string;
  /** Runs a program of this machine, with the time limit of the other calls. */
  run(file: string, words: readonly string[], input?: string, env?: Record<string, string>): Promise<Answer>;
  sftp(batch: string): Promise<Answer>;
  /** Starts an agent with the fixture's key, and returns its socket. It ends with the fixture. */
  startAgent(): Promise<string>;
}

const programs = {
  ssh: ["-V"],
  sftp: ["-?"],
  scp: ["-?"],
  "ssh-agent": ["-?"],
  "ssh-add": ["-?"],
  "ssh-keygen": ["-?"],
};

/** Returns the program that this machine lacks, or undefined. */
export function openSshLacks(isolation: Isolation): string | undefined {
  const missing = Object.entries(programs).find(([name, words]) => spawnSync(name, words, { stdio: "ignore" }).error);
  if (missing) return `this machine has no ${missing[0]}`;
  return isolation === "bubblewrap" && !canSandbox() ? "this machine has no bubblewrap that works" : undefined;
}

/** `env`: the variables that a tenant gave to the run; `disk`: where its disk is mounted, if it has one. */
export async function openOpenSshFixture(
  isolation: Isolation,
  env: Readonly<Record<string, string>> = {},
  disk?: string,
): Promise<OpenSshFixture> {
  const fixture = await openSshFixture(isolation);
  await fixture.begin({ env, mounts: disk === undefined ? [] : [{ volume: await newVolume(fixture), path: disk }] });
  const settings = [
    ...["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "IdentitiesOnly=yes", "LogLevel=ERROR"],
    ...["BatchMode=yes", "ExitOnForwardFailure=yes"],
  ];
  const identity = ["-F", "/dev/null", "-i", keyFile(fixture.root, fixture.key)];
  const options = [...identity, ...settings.flatMap((setting) => ["-o", setting])];
  const address = `${fixture.login}@127.0.0.1`;
  const port = String(fixture.server.port);
  const staying = new Set<ChildProcess>();
  const sshWords = (ownNames: readonly string[], words: readonly string[]) => {
    return ["-p", port, ...options, ...ownNames, ...["-o", "IdentityAgent=none"], address, ...words];
  };
  return {
    ...fixture,
    address,
    nodeInside: isolation === "none" ? process.execPath : join(fixture.home, "tools/node"),
    sshLine: ["ssh", "-p", port, ...options, "-o", "IdentityAgent=none"].join(" "),
    run,
    ssh: (ownNames, ...words) => run("ssh", sshWords(ownNames, words)),
    stay: (ownNames, ...words) => {
      const child = spawn("ssh", sshWords(ownNames, words), { stdio: ["ignore", "pipe", "pipe"] });
      staying.add(child);
      return child;
    },
    scp: (...words) => run("scp", ["-P", port, ...options, ...words]),
    sftp: (batch) => run("sftp", ["-P", port, ...options, "-b", "-", address], batch),
    startAgent: async () => {
      const socket = join(fixture.root, "agent");
      staying.add(spawn("ssh-agent", ["-D", "-a", socket], { stdio: "ignore" }));
      await eventually(
        () => existsSync(socket),
        (isThere) => isThere,
      );
      await run("ssh-add", ["-q", keyFile(fixture.root, fixture.key)], "", { SSH_AUTH_SOCK: socket });
      return socket;
    },
    close: async () => {
      for (const child of staying) child.kill();
      await fixture.close();
    },
  };
}

function newVolume({ home }: SshFixture): Promise<VolumeRef> {
  return processVolumes({ home }).createVolume({ token: "disk", sizeGb: 1, zone: "local", snapshotId: undefined });
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
