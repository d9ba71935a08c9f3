import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { JobSummary } from "../../sdk/jobs.ts";
import { CliError, doctorHint, exitCodes } from "../failure.ts";
import { calledJob, jobWord } from "../jobs/job-words.ts";
import { pinHostKey } from "../state/job-entries.ts";
import { makePrivateDirectory, statePath } from "../state/state.ts";
import { printable } from "../terminal/text.ts";

export interface SshTarget {
  readonly user: string;
  readonly host: string;
  readonly port: string;
  /** Options of ssh, scp and sftp: own key, pinned host key, no file of the user. */
  readonly options: readonly string[];
  /** The host key that the API names: type and base64. */
  readonly hostKey: string | null;
}

export interface SshTargetOptions {
  /** Trust the first host key that the job shows, if the API names none. */
  readonly acceptNewHostKey?: boolean;
}

/** Returns how OpenSSH reaches a job that has an `ssh_command` and lets the key in. */
export function reachableTarget(job: JobSummary, keyPath: string, options: SshTargetOptions = {}): SshTarget {
  const { user, host, port } = readCommand(job.ssh_command ?? "");
  const address = `[${host}]:${port}`;
  const words = sshOptions(address, keyPath, hostKeyOptions(job, address, options));
  return { user, host, port, options: words, hostKey: job.ssh_host_key };
}

/** The command comes from the server, so nothing of it reaches a shell or is taken as an option. */
function readCommand(command: string): { readonly user: string; readonly host: string; readonly port: string } {
  const [, port = "22", user, host] =
    /^ssh (?:-p (\d{1,5}) )?(\w[\w.-]*)@(\w[\w.-]*|\[?[0-9a-fA-F:]+\]?)$/.exec(command) ?? [];
  if (user !== undefined && host !== undefined) return { user, host: host.replace(/[[\]]/g, ""), port };
  throw new CliError(`The server sent an invalid SSH command: ${printable(command)}`, exitCodes.failed, doctorHint);
}

/** Port 22 is written without brackets in known_hosts, unless the alias names it. */
function sshOptions(address: string, keyPath: string, hostKey: Readonly<Record<string, string>>): string[] {
  const settings = {
    IdentityFile: quoted(keyPath),
    IdentitiesOnly: "yes",
    // A server that is not the job's must not get to ask for a password.
    PreferredAuthentications: "publickey",
    PasswordAuthentication: "no",
    KbdInteractiveAuthentication: "no",
    ...hostKey,
    HostKeyAlias: address,
    GlobalKnownHostsFile: "/dev/null",
    UpdateHostKeys: "no",
    ServerAliveInterval: "30",
    LogLevel: "ERROR",
  };
  return ["-F", "/dev/null", ...Object.entries(settings).flatMap(([name, value]) => ["-o", `${name}=${value}`])];
}

/** Without a host key from the API, only an earlier trusted key is accepted, unless the user trusts the first. */
function hostKeyOptions(job: JobSummary, address: string, { acceptNewHostKey = false }: SshTargetOptions) {
  const path = statePath("known_hosts", job.job_id);
  if (job.ssh_host_key !== null) {
    return { UserKnownHostsFile: quoted(pinHostKey(job, address, job.ssh_host_key)), StrictHostKeyChecking: "yes" };
  }
  if (!existsSync(path) && !acceptNewHostKey) {
    throw new CliError(
      `The deployment names no host key of ${calledJob(job)}, so its SSH server cannot be told from another one`,
      exitCodes.failed,
      `To trust the first that it shows: berth ssh ${jobWord(job)} --accept-new-host-key`,
    );
  }
  makePrivateDirectory(dirname(path));
  return { UserKnownHostsFile: quoted(path), StrictHostKeyChecking: acceptNewHostKey ? "accept-new" : "yes" };
}

/** ssh splits the value at spaces, and takes a percent sign as a token and a backslash as an escape. */
function quoted(path: string): string {
  return `"${path.replaceAll("%", "%%").replace(/["\\]/g, "\\$&")}"`;
}
