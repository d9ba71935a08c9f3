import { execFile, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir, userInfo } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Client, ClientChannel, SFTPWrapper } from "ssh2";
import { newSshKey } from "#gateway/ssh/login/ssh-keys.ts";
import { findFreePort } from "#process/network/local-ports.ts";
import { type Measure, median, type Row } from "../measure.ts";
import { until } from "../server/local-stack.ts";
import { enter, type SshTarget, withTarget } from "./ssh.ts";

const ROUND_TRIPS = 200;
const FILES = 300;
const LOGINS = 20;
export const GIGABYTE = 1_000_000_000;
const SSHD = "/usr/sbin/sshd";

/** Berth's SSH and OpenSSH's server, measured one after the other. The numbers have no limits. */
export const sshd: Measure = {
  name: "sshd",
  async run() {
    const missing = [SSHD, "ssh", "scp"].find((program) => spawnSync(program, ["-V"]).error);
    if (missing) return [{ name: "SSH beside sshd", value: 0, unit: "", note: `not measured: there is no ${missing}` }];
    const ours = await withTarget(measure);
    const theirs = await withSshd(measure);
    return ours.flatMap((row, n) => compared(row, theirs[n]?.value ?? Number.NaN));
  },
};

export function compared({ name, value, unit }: Row, theirs: number, ours = "SSH"): Row[] {
  const note = `sshd: ${theirs.toFixed(2)} ${unit}; ratio ${(value / theirs).toFixed(2)}`;
  return [{ name: `${ours} beside sshd: ${name}`, value, unit, note }];
}

export async function measure(target: SshTarget): Promise<Row[]> {
  const directory = mkdtempSync(join(tmpdir(), "berth-bench-sshd-"));
  // OpenSSH's client sets TCP_NODELAY too. Without it, Nagle's algorithm would delay small packets.
  const client = (await enter(target)).setNoDelay(true);
  try {
    return [
      { name: "login and end p50", value: await logInAndOut(target, directory), unit: "s" },
      { name: "key echo p50", value: await echo(client), unit: "ms" },
      { name: "stat over SFTP p50", value: await stat(client), unit: "ms" },
      { name: `scp -r of ${FILES} files`, value: await copyFiles(target, directory), unit: "s" },
      { name: "1 GB from a command", value: await readGigabyte(target), unit: "s" },
    ];
  } finally {
    client.destroy();
    rmSync(directory, { recursive: true });
  }
}

async function logInAndOut(target: SshTarget, directory: string): Promise<number> {
  const words = ["-p", String(target.port), ...listOptions(target, directory), `${target.username}@127.0.0.1`, "true"];
  const seconds: number[] = [];
  for (let n = 0; n < LOGINS; n += 1) seconds.push(await timed("ssh", words));
  return median(seconds);
}

/** Measures a key press from the client to the program and back. */
async function echo(client: Client): Promise<number> {
  const channel = await new Promise<ClientChannel>((resolve, reject) => {
    const command = "stty raw -echo; echo ready; exec cat";
    client.exec(command, { pty: true }, (error, opened) => (error ? reject(error) : resolve(opened)));
  });
  await once(channel, "data");
  return median(
    await times(async () => {
      channel.write("x");
      await once(channel, "data");
    }),
  );
}

async function stat(client: Client): Promise<number> {
  const sftp = await new Promise<SFTPWrapper>((resolve, reject) => {
    client.sftp((error, opened) => (error ? reject(error) : resolve(opened)));
  });
  return median(await times(() => new Promise((resolve) => sftp.stat(".", resolve))));
}

async function times(step: () => Promise<unknown>): Promise<number[]> {
  const durations: number[] = [];
  for (let n = 0; n < ROUND_TRIPS; n += 1) {
    const begun = performance.now();
    await step();
    durations.push(performance.now() - begun);
  }
  return durations;
}

async function copyFiles(target: SshTarget, directory: string): Promise<number> {
  const files = join(directory, `files-${process.pid}`);
  mkdirSync(files);
  for (let n = 0; n < FILES; n += 1) writeFileSync(join(files, `file-${n}`), "x".repeat(2_000));
  const words = ["-P", String(target.port), ...listOptions(target, directory)];
  const seconds = await timed("scp", [...words, "-qr", files, `${target.username}@127.0.0.1:/tmp/`]);
  const removing = ["-p", String(target.port), ...listOptions(target, directory), `${target.username}@127.0.0.1`];
  await timed("ssh", [...removing, `rm -r /tmp/files-${process.pid}`]);
  return seconds;
}

/** Reads a gigabyte that a command prints. Returns seconds. */
export async function readGigabyte(target: SshTarget): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), "berth-bench-sshd-"));
  const words = ["-p", String(target.port), ...listOptions(target, directory), `${target.username}@127.0.0.1`];
  const reading = timed("/bin/sh", [
    "-c",
    'exec ssh "$@" > /dev/null',
    "sh",
    ...words,
    `head -c ${GIGABYTE} /dev/zero`,
  ]);
  return reading.finally(() => rmSync(directory, { recursive: true }));
}

async function timed(file: string, words: readonly string[]): Promise<number> {
  const begun = performance.now();
  await promisify(execFile)(file, words);
  return (performance.now() - begun) / 1000;
}

function listOptions({ key }: SshTarget, directory: string): string[] {
  const file = join(directory, "key");
  if (!existsSync(file)) writeFileSync(file, key.private, { mode: 0o600 });
  const settings = ["StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null", "LogLevel=ERROR", "BatchMode=yes"];
  return ["-F", "/dev/null", "-i", file, ...settings.flatMap((setting) => ["-o", setting])];
}

export async function withSshd<Result>(use: (target: SshTarget) => Promise<Result>): Promise<Result> {
  const directory = mkdtempSync(join(tmpdir(), "berth-bench-sshd-"));
  const [key, hostKey, port] = [newSshKey(), newSshKey(), await findFreePort()];
  const at = (name: string, content: string) => {
    writeFileSync(join(directory, name), content, { mode: 0o600 });
    return join(directory, name);
  };
  const config = [
    ...["ListenAddress 127.0.0.1", `Port ${port}`, "PidFile none", "StrictModes no", "UsePAM no"],
    ...[`HostKey ${at("host-key", hostKey.private)}`, `AuthorizedKeysFile ${at("authorized", `${key.public}\n`)}`],
    "Subsystem sftp internal-sftp",
  ];
  // OpenSSH's server needs this directory when it runs as root. An init system would create it.
  if (process.getuid?.() === 0) mkdirSync("/run/sshd", { recursive: true });
  const server = spawn(SSHD, ["-D", "-f", at("config", `${config.join("\n")}\n`)], { stdio: "ignore" });
  try {
    await until(() => canConnect(port));
    return await use({ port, username: userInfo().username, key });
  } finally {
    server.kill();
    rmSync(directory, { recursive: true });
  }
}

async function canConnect(port: number): Promise<true | undefined> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    return undefined;
  } finally {
    socket.destroy();
  }
}
