import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { type ProgramResult, runProgram } from "./program.ts";

/**
 * Second machine for tests, with only a loopback of its own. It reaches this machine only through OpenSSH's server,
 * under the name `machine`.
 */
export interface SecondMachine {
  /** Home directory of its user. */
  readonly home: string;
  /** Runs a script with `sh` there, with the user's settings for `ssh`. */
  run(script: string): Promise<ProgramResult>;
  /** Starts an `ssh` line that stays. Resolves once it is connected and its ports are open. */
  stay(line: string): Promise<void>;
  close(): Promise<void>;
}

const SSHD = "/usr/sbin/sshd";
const isRoot = process.getuid?.() === 0;
const ownNetwork = isRoot ? ["--net"] : ["--user", "--map-root-user", "--net"];
const enterNetwork = isRoot ? ["--net"] : ["--user", "--preserve-credentials", "--net"];

/** Returns what this machine lacks for a second one; undefined if nothing. */
export async function secondMachineLacks(): Promise<string | undefined> {
  if (!canExecute(SSHD)) return `this machine has no ${SSHD} (apt install openssh-server)`;
  const answer = await runProgram("unshare", [...ownNetwork, "ip", "link", "set", "lo", "up"], {}).catch(
    () => undefined,
  );
  return answer?.code === 0
    ? undefined
    : "no network of its own can be made here: that takes unshare, ip and the right";
}

export async function openSecondMachine(): Promise<SecondMachine> {
  const home = mkdtempSync(join(tmpdir(), "berth-laptop-"));
  const gate = join(home, "gate");
  writeSettings(home, gate);
  const server = await serveSshd(home, gate);
  const staying: ChildProcess[] = [];
  const network = spawn("unshare", [...ownNetwork, "sh", "-c", "ip link set lo up && echo up && exec cat"]);
  staying.push(network);
  await once(network.stdout, "data");
  const inside = (script: string): [string, string[]] => {
    const prelude = `ssh() { command ssh -F '${join(home, "config")}' "$@"; }; cd '${home}'`;
    return ["nsenter", [`--target=${network.pid}`, ...enterNetwork, "sh", "-c", `${prelude}\n${script}`]];
  };
  return {
    home,
    run: (script) => runProgram(...inside(script), { env: environment() }),
    stay: async (line) => {
      const child = spawn(...inside(`exec ssh -F config ${line.replace(/^ssh /, "")}`), { env: environment() });
      staying.push(child);
      const said: string[] = [];
      child.stderr.on("data", (part) => said.push(String(part)));
      const ended = once(child, "exit").then(() => Promise.reject(new Error(`${line} ended: ${said.join("")}`)));
      await Promise.race([once(child.stdout, "data"), ended]);
      ended.catch(() => undefined);
    },
    close: async () => {
      const living = staying.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null);
      await Promise.all(
        living.map(async (child) => {
          const exited = once(child, "exit");
          child.kill("SIGKILL");
          await exited;
        }),
      );
      await server.close();
      rmSync(home, { recursive: true });
    },
  };
}

/** Writes the settings of the user there and of the server here, which accepts only one key. */
function writeSettings(home: string, gate: string): void {
  for (const name of ["host", "own"]) {
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", join(home, name)]);
  }
  const dial = "const s = require('net').connect(process.argv[1]); process.stdin.pipe(s).pipe(process.stdout)";
  const client = [
    "Host machine",
    `ProxyCommand '${process.execPath}' -e "${dial}" '${gate}'`,
    `User ${userInfo().username}`,
    // Runs once the ports of -L are open.
    "PermitLocalCommand yes",
    "LocalCommand echo connected",
    "ExitOnForwardFailure yes",
    "Host *",
    `IdentityFile '${join(home, "own")}'`,
    ...["IdentitiesOnly yes", "IdentityAgent none", "BatchMode yes", "LogLevel ERROR"],
    ...["StrictHostKeyChecking accept-new", `UserKnownHostsFile '${join(home, "known_hosts")}'`],
  ];
  writeFileSync(join(home, "config"), `${client.join("\n")}\n`);
  const served = [
    `HostKey ${join(home, "host")}`,
    `AuthorizedKeysFile ${join(home, "own.pub")}`,
    ...[
      "UsePAM no",
      "StrictModes no",
      "PasswordAuthentication no",
      "PermitRootLogin prohibit-password",
      "PidFile none",
    ],
  ];
  writeFileSync(join(home, "sshd_config"), `${served.join("\n")}\n`);
}

/** Starts an sshd for each connection, like inetd, so none listens on a port. */
async function serveSshd(home: string, gate: string): Promise<{ close(): Promise<void> }> {
  const madeRoom = isRoot && !existsSync("/run/sshd");
  if (madeRoom) mkdirSync("/run/sshd", { mode: 0o755 });
  const children = new Set<ChildProcess>();
  const server = createServer((socket) => {
    const child = spawn(SSHD, ["-i", "-e", "-f", join(home, "sshd_config")], { stdio: ["pipe", "pipe", "ignore"] });
    children.add(child);
    child.once("exit", () => children.delete(child));
    for (const stream of [socket, child.stdin, child.stdout]) stream.on("error", () => undefined);
    socket.pipe(child.stdin);
    child.stdout.pipe(socket);
  }).listen(gate);
  await once(server, "listening");
  return {
    close: async () => {
      await Promise.all(
        [...children].map(async (child) => {
          const exited = once(child, "exit");
          child.stdin?.end();
          await exited;
        }),
      );
      server.close();
      if (madeRoom) rmSync("/run/sshd", { recursive: true });
    },
  };
}

/** Returns an environment without the variables of the user who runs the tests. */
function environment(): NodeJS.ProcessEnv {
  return { PATH: process.env.PATH };
}

function canExecute(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
