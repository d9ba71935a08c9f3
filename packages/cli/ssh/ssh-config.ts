import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import type { Berth } from "../../sdk/berth.ts";
import type { JobSummary } from "../../sdk/jobs.ts";
import { CliError, exitCodes } from "../failure.ts";
import { shortId } from "../jobs/find-job.ts";
import { calledJob, jobWord } from "../jobs/job-words.ts";
import { withLock } from "../state/lock.ts";
import { readState, statePath, writePrivate } from "../state/state.ts";
import { collect } from "../terminal/collect.ts";
import { say } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";
import { sshTarget } from "./ssh-session.ts";
import type { SshTarget } from "./ssh-target.ts";

/** The entry of a job: what ssh reads, and the deployment that the job belongs to. */
interface HostEntry {
  readonly url: string;
  readonly text: string;
}

type HostEntries = Readonly<Record<string, HostEntry>>;

const ownFile = () => statePath("ssh_config");
const entriesFile = () => statePath("ssh-hosts.json");

/** Updates the entries after `berth ssh-config on`. The caller has started or ended a job, so a failure is only a note. */
export async function updateHosts(berth: Berth, signal: AbortSignal, without: readonly string[] = []): Promise<void> {
  if (!existsSync(ownFile())) return;
  try {
    await writeHosts(berth, signal, without);
  } catch (error) {
    if (signal.aborted) throw error;
    say(`note: the entries for ssh were not updated: ${printable((error as Error).message)}`);
  }
}

/** Returns the host of a job for ssh. Its charset is that of file names, so it is no pattern. */
export function hostAlias(job: JobSummary): string {
  return `berth-${jobWord(job)}`.toLowerCase();
}

/** Returns all hosts of a job. Throws if the server sent an id that would be more than one word of the file. */
export function hostNames(job: JobSummary): string[] {
  if (!/^[\w-]+$/.test(job.job_id)) throw new CliError("The server sent an invalid job id", exitCodes.failed);
  return [...new Set([hostAlias(job), `berth-${shortId(job)}`])];
}

/** Returns the host of a job when the file has these jobs. If several jobs share a name, the host `berth-<name>` is the newest one. */
export function hostAmong(jobs: readonly JobSummary[], job: JobSummary): string {
  const [alias = "", aliasById = alias] = hostNames(job);
  const newest = jobs.find((candidate) => hostAlias(candidate) === alias);
  return newest?.job_id === job.job_id ? alias : aliasById;
}

/** Writes one entry for each active job of this deployment. Entries of jobs that are not active go. */
export function writeHosts(berth: Berth, signal: AbortSignal, without: readonly string[] = []): Promise<JobSummary[]> {
  return withLock("ssh-config", async () => {
    const listed = await collect(berth.jobs.list({ status: ["active"], signal }));
    const jobs = listed.filter(({ job_id }) => !without.includes(job_id));
    const stored = (readState(entriesFile()) ?? {}) as HostEntries;
    const entries: Record<string, HostEntry> = {};
    // The newest job of a name comes first, and ssh takes the first.
    for (const job of jobs) {
      try {
        const target = await sshTarget(berth, job.job_id, signal);
        entries[job.job_id] = { url: berth.url, text: hostText(job, target) };
      } catch (error) {
        if (signal.aborted) throw error;
        say(`note: ssh gets no entry for ${calledJob(job)}: ${printable((error as Error).message)}`);
      }
    }
    for (const [id, entry] of Object.entries(stored)) if (entry.url !== berth.url) entries[id] = entry;
    writePrivate(entriesFile(), JSON.stringify(entries));
    const texts = Object.values(entries).map(({ text }) => text);
    writePrivate(ownFile(), ["# Written by berth. Changes are lost.\n", ...texts].join("\n"));
    return jobs;
  });
}

function hostText(job: JobSummary, target: SshTarget): string {
  const settings = target.options.filter((word) => word.includes("=")).map((word) => word.replace("=", " "));
  const names = hostNames(job);
  const lines = [`HostName ${target.host}`, `Port ${target.port}`, `User ${target.user}`, ...settings];
  return `Host ${names.join(" ")}\n${lines.map((line) => `  ${line}\n`).join("")}`;
}

/** Reports whether the user's own file has the line. */
export function isIncluded(): boolean {
  return readText(userFile()).split("\n").includes(includeLine());
}

/** Puts one line at the top of the user's own file, unless it is there. */
export function includeHosts(): Promise<void> {
  return withLock("ssh-config", async () => {
    if (!isIncluded()) replaceFile(`${includeLine()}\n${readText(userFile())}`);
  });
}

/** Takes the line out of the user's own file, and removes ours. */
export function removeHosts(): Promise<void> {
  return withLock("ssh-config", async () => {
    const line = includeLine();
    const lines = readText(userFile()).split("\n");
    if (lines.includes(line)) replaceFile(lines.filter((text) => text !== line).join("\n"));
    for (const file of [ownFile(), entriesFile()]) rmSync(file, { force: true });
  });
}

/** Returns the hosts among these that the user's own file names too. */
export function ownHosts(jobs: readonly JobSummary[]): string[] {
  const named = new Set(
    Array.from(readText(userFile()).matchAll(/^\s*Host\s+(.*)$/gim), ([, words = ""]) => words.split(/\s+/)).flat(),
  );
  return jobs.map(hostAlias).filter((alias) => named.has(alias));
}

/** ssh takes some characters of the path as a pattern. */
function includeLine(): string {
  const path = ownFile();
  if (/^[^"\\\n*?[\]~]+$/.test(path)) return `Include "${path}"`;
  throw new CliError(`ssh cannot include ${printable(path)}`, exitCodes.failed, "Set XDG_CONFIG_HOME to a plain path");
}

/** A link leads to the file that is meant, for example one among dotfiles. */
function userFile(): string {
  const path = join(homedir(), ".ssh", "config");
  return existsSync(path) ? realpathSync(path) : path;
}

/** Replaces the user's own file. Throws if it is a link that leads nowhere, or belongs to another user. */
function replaceFile(text: string): void {
  const path = userFile();
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found?.isSymbolicLink()) throw refused("is a link that leads nowhere");
  if (found && found.uid !== process.getuid?.()) throw refused("belongs to another user");
  const draft = `${path}.berth-${process.pid}`;
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  try {
    writeFileSync(draft, text, { mode: (found?.mode ?? 0o600) & 0o777, flush: true });
    renameSync(draft, path);
  } finally {
    rmSync(draft, { force: true });
  }
}

function refused(reason: string): CliError {
  const hint = `Add this line to it yourself: ${includeLine()}`;
  return new CliError(`~/.ssh/config ${reason}, so berth does not change it`, exitCodes.failed, hint);
}

function readText(path: string): string {
  return existsSync(path) ? readFileSync(path, "utf8") : "";
}
