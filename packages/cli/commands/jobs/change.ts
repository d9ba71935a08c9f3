import type { Berth } from "../../../sdk/berth.ts";
import type { JobSummary } from "../../../sdk/jobs.ts";
import { CliError, exitCodes } from "../../failure.ts";
import { findJob, liveStatuses } from "../../jobs/find-job.ts";
import { calledJob } from "../../jobs/job-words.ts";
import { connect } from "../../login/connect.ts";
import { updateHosts } from "../../ssh/ssh-hosts.ts";
import { forgetJob } from "../../state/job-entries.ts";
import { collect } from "../../terminal/collect.ts";
import { confirm, interruptSignal, isInteractive, out, outJson, say } from "../../terminal/terminal.ts";
import { parseDuration, told } from "../../terminal/text.ts";

/** Adds time to a job and prints its new end. */
export async function extend({ json }: { readonly json: boolean }, ...words: string[]): Promise<void> {
  const time = words.at(-1) ?? "";
  const hours = readHours(time);
  const berth = await connect();
  const { job_id } = await findJob(berth, words.length > 1 ? words[0] : undefined);
  const { job } = await berth.jobs.act(job_id, { action: "extend", hours });
  if (json) return outJson(job);
  out(
    told`${calledJob(job)} has ${job.duration_hours} h${job.expires_at === null ? "" : told` and ends at ${job.expires_at}`}.\n`,
  );
}

function readHours(text: string): number {
  try {
    return parseDuration(text, "h") / 3600;
  } catch (error) {
    throw new CliError((error as Error).message, exitCodes.usage, "For example: berth extend NAME 2h");
  }
}

interface EndFlags {
  readonly all: boolean;
  readonly yes: boolean;
  readonly json: boolean;
}

/** Ends jobs. Asks before it ends one that was not named. */
export async function end({ all, yes, json }: EndFlags, ...words: string[]): Promise<void> {
  const berth = await connect();
  const jobs = await jobsToEnd(berth, all, words);
  if (jobs.length === 0) return say("You have no live jobs.");
  if (words.length === 0 && !yes) await confirmEnd(jobs);
  // Printed at the end: a reader that leaves early, as `head` does, must not keep a job alive.
  const answers: unknown[] = [];
  for (const job of jobs) {
    answers.push(await berth.jobs.cancel(job.job_id));
    forgetJob(job);
  }
  const ended = jobs.map(({ job_id }) => job_id);
  await updateHosts(berth, interruptSignal(), ended);
  if (json) return answers.forEach(outJson);
  out(jobs.map((job) => `Ended ${calledJob(job)}.\n`).join(""));
}

async function jobsToEnd(berth: Berth, all: boolean, words: readonly string[]): Promise<JobSummary[]> {
  if (all) return collect(berth.jobs.list({ status: liveStatuses }));
  const wanted = words.length > 0 ? words : [undefined];
  const jobs: JobSummary[] = [];
  for (const word of wanted) jobs.push(await findJob(berth, word));
  return jobs;
}

async function confirmEnd(jobs: readonly JobSummary[]): Promise<void> {
  if (!isInteractive())
    throw new CliError("This question needs a terminal", exitCodes.usage, "Name the job, or give --yes");
  if (!(await confirm(`End ${jobs.map(calledJob).join(", ")}?`))) {
    throw new CliError("Nothing was ended", exitCodes.failed, "Answer y, name the job, or give --yes");
  }
}
