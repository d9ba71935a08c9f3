import { existsSync } from "node:fs";
import type { Berth } from "../../sdk/berth.ts";
import type { JobSummary } from "../../sdk/jobs.ts";
import { CliError, doctorHint, exitCodes } from "../failure.ts";
import { shortId } from "../jobs/find-job.ts";
import { calledJob, jobWord } from "../jobs/job-words.ts";
import { isLetIn } from "../state/job-entries.ts";
import { withLock } from "../state/lock.ts";
import { readState, statePath, writePrivate } from "../state/state.ts";
import { collect } from "../terminal/collect.ts";
import { say } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";
import { ownSshKey } from "./ssh-key.ts";
import { activeTarget } from "./ssh-session.ts";
import { reachableTarget, readGateway, type SshTarget } from "./ssh-target.ts";

/** The entry of a job: what ssh reads, and the deployment that the job belongs to. */
interface HostEntry {
  readonly url: string;
  readonly text: string;
}

type HostEntries = Readonly<Record<string, HostEntry>>;

export const ownFile = () => statePath("ssh_config");
export const entriesFile = () => statePath("ssh-hosts.json");

/**
 * Updates the entries if `berth ssh-config on` was run. A failure is only a note, because the caller's own work is
 * done.
 */
export async function updateHosts(berth: Berth, signal: AbortSignal, without: readonly string[] = []): Promise<void> {
  if (!existsSync(ownFile())) return;
  await orNote(() => writeHosts(berth, signal, without), signal);
}

async function orNote<Value>(update: () => Promise<Value>, signal?: AbortSignal): Promise<Value | undefined> {
  try {
    return await update();
  } catch (error) {
    if (signal?.aborted) throw error;
    say(`note: the entries for ssh were not updated: ${printable((error as Error).message)}`);
    return undefined;
  }
}

/** Returns the host of a job for ssh. Its charset is that of file names, so it is no pattern. */
export function hostAlias(job: JobSummary): string {
  return `berth-${jobWord(job)}`.toLowerCase();
}

/** Returns all hosts of a job. Throws if the server sent an id that would be more than one word of the file. */
export function hostNames(job: JobSummary): string[] {
  if (!/^[\w-]+$/.test(job.job_id))
    throw new CliError("The server sent an invalid job id", exitCodes.failed, doctorHint);
  return [...new Set([hostAlias(job), `berth-${shortId(job)}`])];
}

/** Returns a job's host name for ssh. If several jobs share a name, `berth-<name>` is the newest one. */
export function hostAmong(jobs: readonly JobSummary[], job: JobSummary): string {
  const [alias = "", aliasById = alias] = hostNames(job);
  const newest = jobs.find((candidate) => hostAlias(candidate) === alias);
  return newest?.job_id === job.job_id ? alias : aliasById;
}

/** Writes one entry for each active job of this deployment. Entries of jobs that are not active go. */
export function writeHosts(berth: Berth, signal: AbortSignal, without: readonly string[] = []): Promise<JobSummary[]> {
  return withLock("ssh-config", async () => {
    const [listed, gateway] = await Promise.all([
      collect(berth.jobs.list({ status: ["active"], signal })),
      readGateway(berth, signal),
    ]);
    const jobs = listed.filter(({ job_id }) => !without.includes(job_id));
    const entries: Record<string, HostEntry> = {};
    for (const job of jobs) {
      try {
        const target = await activeTarget(berth, job, signal, { gateway });
        entries[job.job_id] = { url: berth.url, text: hostText(job, target) };
      } catch (error) {
        if (signal.aborted) throw error;
        say(`note: ssh gets no entry for ${calledJob(job)}: ${printable((error as Error).message)}`);
      }
    }
    storeEntries({ ...entries, ...entriesWhere(({ url }) => url !== berth.url) });
    return jobs;
  });
}

/**
 * Reads jobs, among them all active ones of this deployment, and updates the entries without another request. Entries
 * of jobs that are no longer active go. An active job gets one if the CLI's own key is in.
 */
export async function readAndRefresh(berth: Berth, read: () => Promise<JobSummary[]>): Promise<JobSummary[]> {
  const earlier = await orNote(async () => Object.keys(entriesWhere(({ url }) => url === berth.url)));
  const jobs = await read();
  if (earlier) await orNote(() => refreshHosts(berth, jobs, earlier));
  return jobs;
}

/** Keeps the entries that another process wrote after these earlier ones, since they may be of younger jobs. */
async function refreshHosts(berth: Berth, jobs: readonly JobSummary[], earlier: readonly string[]): Promise<void> {
  const active = jobs.filter(({ status }) => status === "active");
  const gone = earlier.filter((id) => !active.some(({ job_id }) => job_id === id));
  const added = entriesWithoutRequest(
    berth,
    active.filter(({ job_id }) => !earlier.includes(job_id)),
  );
  if (gone.length === 0 && Object.keys(added).length === 0) return;
  await withLock("ssh-config", async () => {
    const kept = entriesWhere((_, id) => !gone.includes(id));
    if (existsSync(ownFile())) storeEntries({ ...added, ...kept });
  });
}

/** Omits jobs that first need a request or a decision of the user. */
function entriesWithoutRequest(berth: Berth, jobs: readonly JobSummary[]): HostEntries {
  const ready = jobs.filter(({ ssh_command }) => ssh_command !== null);
  if (ready.length === 0) return {};
  const key = ownSshKey();
  const entries = ready.flatMap((job) => {
    try {
      if (!isLetIn(job, key.publicKey)) return [];
      return [[job.job_id, { url: berth.url, text: hostText(job, reachableTarget(job, key.path)) }] as const];
    } catch {
      return [];
    }
  });
  return Object.fromEntries(entries);
}

function entriesWhere(isWanted: (entry: HostEntry, id: string) => boolean): HostEntries {
  const stored = (readState(entriesFile()) ?? {}) as HostEntries;
  return Object.fromEntries(Object.entries(stored).filter(([id, entry]) => isWanted(entry, id)));
}

/** The newest job of a name comes first, and ssh takes the first. */
function storeEntries(entries: HostEntries): void {
  writePrivate(entriesFile(), JSON.stringify(entries));
  const texts = Object.values(entries).map(({ text }) => text);
  writePrivate(ownFile(), ["# Written by berth. Changes are lost.\n", ...texts].join("\n"));
}

function hostText(job: JobSummary, target: SshTarget): string {
  const settings = target.options.filter((word) => word.includes("=")).map((word) => word.replace("=", " "));
  const names = hostNames(job);
  const lines = [`HostName ${target.host}`, `Port ${target.port}`, `User ${target.user}`, ...settings];
  return `Host ${names.join(" ")}\n${lines.map((line) => `  ${line}\n`).join("")}`;
}
