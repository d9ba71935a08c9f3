import type { Berth } from "../../sdk/berth.ts";
import { isEnded } from "../../sdk/job-state.ts";
import type { JobStatus, JobSummary } from "../../sdk/jobs.ts";
import { CliError, exitCodes } from "../failure.ts";
import { collect } from "../terminal/collect.ts";
import { say } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";

export const liveStatuses: readonly JobStatus[] = ["queued", "preparing", "active"];
const leastPrefix = 4;

/** Returns the first 8 characters of an id, which users read and type. */
export function shortId({ job_id }: Pick<JobSummary, "job_id">): string {
  return job_id.slice(0, 8);
}

/**
 * Returns the job that a word means: its name, else the beginning of its id or name. A live job wins over one that
 * ended. Selects the only live job if no argument is given, and says so.
 */
export async function findJob(berth: Berth, word: string | undefined): Promise<JobSummary> {
  if (word === undefined) return onlyLiveJob(berth);
  const named = await collect(berth.jobs.list({ name: word }));
  const live = named.filter(({ status }) => !isEnded(status));
  const matches = live.length > 0 ? live : named.slice(0, 1);
  if (matches.length === 0 && word.length >= leastPrefix) matches.push(...(await beginningWith(berth, word)));
  const [job] = matches;
  if (!job)
    throw new CliError(`There is no job '${printable(word)}'`, exitCodes.notFound, "List yours with: berth ls --all");
  if (matches.length > 1) throw ambiguous(`'${printable(word)}' may be`, matches);
  return job;
}

/** Live jobs win over those that ended. */
async function beginningWith(berth: Berth, word: string): Promise<JobSummary[]> {
  const id = word.toLowerCase();
  const jobs = await collect(berth.jobs.list({ pageSize: 500 }));
  const matches = jobs.filter(({ job_id, name }) => job_id.startsWith(id) || name.startsWith(word));
  const live = matches.filter(({ status }) => !isEnded(status));
  return live.length > 0 ? live : matches;
}

async function onlyLiveJob(berth: Berth): Promise<JobSummary> {
  const jobs = await collect(berth.jobs.list({ status: liveStatuses }));
  const [job] = jobs;
  if (!job) throw new CliError("You have no live job", exitCodes.notFound, "Start one with: berth up");
  if (jobs.length > 1) throw ambiguous("Several of your jobs are live. Name one of", jobs);
  say(`Using ${printable(job.name)} (${shortId(job)}), your only live job.`);
  return job;
}

function ambiguous(words: string, jobs: readonly JobSummary[]): CliError {
  const names = jobs.slice(0, 8).map((job) => `${printable(job.name)} (${shortId(job)})`);
  return new CliError(`${words} ${names.join(", ")}`, exitCodes.notFound, "Give the id.");
}
