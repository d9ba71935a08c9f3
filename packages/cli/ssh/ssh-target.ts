import { existsSync } from "node:fs";
import { dirname } from "node:path";
import type { Berth } from "../../sdk/berth.ts";
import type { JobSummary } from "../../sdk/jobs.ts";
import { CliError, doctorHint, exitCodes } from "../failure.ts";
import { calledJob, jobWord } from "../jobs/job-words.ts";
import { pinHostKeys } from "../state/job-entries.ts";
import { makePrivateDirectory, statePath } from "../state/state.ts";
import { printable } from "../terminal/text.ts";

export interface SshTarget {
  readonly user: string;
  readonly host: string;
  readonly port: string;
  /** Options of ssh, scp and sftp: own key, pinned host key, no file of the user. */
  readonly options: readonly string[];
  /** The host keys that the API names: type and base64. The present one comes first. */
  readonly hostKeys: readonly string[];
}

/** The SSH server of a deployment, with both host keys while one is exchanged. */
export interface SshGateway {
  readonly host: string;
  readonly port: number;
  readonly host_keys: readonly string[];
}

export interface SshTargetOptions {
  /** Trust the first host key that the job shows, if the API names none. */
  readonly acceptNewHostKey?: boolean;
  /** Further host keys of the job, if its host is this one. */
  readonly gateway?: SshGateway | undefined;
}

const readWithinMs = 5_000;

/** Reads the deployment's SSH server. Returns undefined if the deployment names none, or is too old to say. */
export async function readGateway(berth: Berth, signal: AbortSignal): Promise<SshGateway | undefined> {
  const within = AbortSignal.any([signal, AbortSignal.timeout(readWithinMs)]);
  const found = await berth.discover({ signal: within }).catch(() => undefined);
  return Array.isArray(found?.ssh?.host_keys) ? found.ssh : undefined;
}

/** Returns how OpenSSH reaches a job that has an `ssh_command` and lets the key in. */
export function reachableTarget(job: JobSummary, keyPath: string, options: SshTargetOptions = {}): SshTarget {
  const { user, host, port } = readCommand(job.ssh_command ?? "");
  const address = `[${host}]:${port}`;
  const hostKeys = listHostKeys(job, { host, port }, options);
  const words = sshOptions(address, keyPath, hostKeyOptions(job, address, hostKeys, options));
  return { user, host, port, options: words, hostKeys };
}

/** The gateway may still show its earlier key after the API names the new one, until its own rollout. */
function listHostKeys(
  { ssh_host_key }: JobSummary,
  { host, port }: Pick<SshTarget, "host" | "port">,
  { gateway }: SshTargetOptions,
): readonly string[] {
  if (ssh_host_key === null) return [];
  const isGateway = gateway?.host === host && String(gateway.port) === port;
  return isGateway ? [...new Set([ssh_host_key, ...gateway.host_keys])] : [ssh_host_key];
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
function hostKeyOptions(
  job: JobSummary,
  address: string,
  hostKeys: readonly string[],
  { acceptNewHostKey = false }: SshTargetOptions,
) {
  const path = statePath("known_hosts", job.job_id);
  if (hostKeys.length > 0) {
    return { UserKnownHostsFile: quoted(pinHostKeys(job, address, hostKeys)), StrictHostKeyChecking: "yes" };
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
