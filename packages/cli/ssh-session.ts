import { type SpawnOptions, spawn } from "node:child_process";
import type { Berth } from "../sdk/berth.ts";
import type { Job } from "../sdk/jobs.ts";
import { CliError, exitCodes } from "./failure.ts";
import { calledJob } from "./job-words.ts";
import { ownSshKey } from "./ssh-key.ts";
import { readState, statePath, writePrivate } from "./state.ts";
import { say } from "./terminal.ts";
import { printable } from "./text.ts";
import { watchJob } from "./watch-job.ts";

export interface SshTarget {
  readonly user: string;
  readonly host: string;
  readonly port: string;
  /** Options of ssh, scp and sftp: own key, pinned host key, no file of the user. */
  readonly options: readonly string[];
}

/** Returns where a job's SSH is. Waits for the job, and lets the CLI's own key in. */
export async function sshTarget(berth: Berth, id: string, signal: AbortSignal): Promise<SshTarget> {
  const key = ownSshKey();
  const job = await activeJob(berth, id, signal);
  if (!isLetIn(job, key.publicKey)) {
    await berth.jobs.act(job.job_id, { action: "add_user", public_key: key.publicKey }, { signal });
    rememberKey(job, key.publicKey);
  }
  const reachable = await sshCommandOf(berth, job, signal);
  const { user, host, port } = readCommand(reachable.ssh_command ?? "");
  return { user, host, port, options: sshOptions(reachable, { host, port }, key.path) };
}

/** Notes that a key was let into a job, so that it is not sent again with every session. */
export function rememberKey({ job_id }: Pick<Job, "job_id">, publicKey: string): void {
  writePrivate(statePath("let-in", job_id), JSON.stringify(publicKey));
}

function isLetIn({ job_id }: Job, publicKey: string): boolean {
  return readState(statePath("let-in", job_id)) === publicKey;
}

async function activeJob(berth: Berth, id: string, signal: AbortSignal): Promise<Job> {
  const job = await berth.jobs.get(id, { signal });
  if (job.status === "active") return job;
  if (job.status === "queued" || job.status === "preparing") {
    say(`Waiting for ${calledJob(job)}.`);
    const started = await watchJob(berth, job, { until: "active", json: false, signal });
    if (started.status === "active") return started;
    throw endedError(started);
  }
  throw endedError(job);
}

function endedError(job: Job): CliError {
  const reason = job.status_reason === null ? "" : `: ${printable(job.status_reason)}`;
  return new CliError(`${calledJob(job)} is ${job.status}${reason}`, exitCodes.failed, "Start another with: berth up");
}

/** A key is in with the next look of the server, and only then there is a command. */
async function sshCommandOf(berth: Berth, job: Job, signal: AbortSignal): Promise<Job> {
  let latest = job;
  for (let attempt = 0; latest.ssh_command === null && attempt < 60; attempt++) {
    await new Promise((resolve) => setTimeout(resolve, 500));
    latest = await berth.jobs.get(job.job_id, { signal });
    if (latest.status !== "active") throw endedError(latest);
  }
  if (latest.ssh_command !== null) return latest;
  throw new CliError(
    `${calledJob(job)} has no SSH: ${printable(latest.status_reason ?? "no reason is known")}`,
    exitCodes.failed,
  );
}

/** The command comes from the server, so nothing of it reaches a shell or is taken as an option. */
function readCommand(command: string): { readonly user: string; readonly host: string; readonly port: string } {
  const [, port = "22", user, host] =
    /^ssh (?:-p (\d{1,5}) )?(\w[\w.-]*)@(\w[\w.-]*|\[?[0-9a-fA-F:]+\]?)$/.exec(command) ?? [];
  if (user !== undefined && host !== undefined) return { user, host: host.replace(/[[\]]/g, ""), port };
  throw new CliError(`The server names an SSH address that is none: ${printable(command)}`, exitCodes.failed);
}

function sshOptions(job: Job, at: { readonly host: string; readonly port: string }, keyPath: string): string[] {
  const hosts = statePath("known_hosts", job.job_id);
  if (job.ssh_host_key !== null) writePrivate(hosts, `[${at.host}]:${at.port} ${printable(job.ssh_host_key)}\n`);
  const settings = {
    IdentityFile: quoted(keyPath),
    IdentitiesOnly: "yes",
    UserKnownHostsFile: quoted(hosts),
    GlobalKnownHostsFile: "/dev/null",
    UpdateHostKeys: "no",
    StrictHostKeyChecking: job.ssh_host_key === null ? "accept-new" : "yes",
    ServerAliveInterval: "30",
    LogLevel: "ERROR",
  };
  // Port 22 is written without brackets in known_hosts, unless the alias names it.
  const alias = ["-o", `HostKeyAlias=[${at.host}]:${at.port}`];
  const words = Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`]);
  return ["-F", "/dev/null", ...words, ...alias];
}

/** ssh splits the value at spaces, knows backslashes before quotes, and takes a percent sign as a token. */
function quoted(path: string): string {
  return `"${path.replace(/[\\"]/g, "\\$&").replaceAll("%", "%%")}"`;
}

/** Runs a program of OpenSSH and returns its exit code. The terminal belongs to OpenSSH until it ends. */
export function runOpenSsh(program: string, words: readonly string[], options: SpawnOptions = {}): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, words, { stdio: "inherit", ...options });
    // Ctrl-C reaches both processes by the terminal. These two reach this one alone.
    for (const name of ["SIGTERM", "SIGHUP"] as const) process.on(name, () => child.kill(name));
    child.once("error", () => {
      const hint = `Install it, for example with: apt install ${program === "rsync" ? "rsync" : "openssh-client"}`;
      reject(new CliError(`There is no ${program} on the PATH`, exitCodes.failed, hint));
    });
    child.once("close", (code, signal) => resolve(code ?? (signal === null ? exitCodes.failed : 128 + 15)));
  });
}
