import type { Berth } from "../../../sdk/berth.ts";
import { CliError, doctorHint, exitCodes } from "../../failure.ts";
import { findJob } from "../../jobs/find-job.ts";
import { calledJob, jobWord } from "../../jobs/job-words.ts";
import { connect } from "../../login/connect.ts";
import { openSecretLink } from "../../terminal/open-secret-link.ts";
import { out, outJson, say } from "../../terminal/terminal.ts";
import { printable } from "../../terminal/text.ts";

interface JsonFlags {
  readonly json: boolean;
}

/** Starts Jupyter in a job and prints its address. */
export function turnOn({ json }: JsonFlags, word?: string): Promise<void> {
  return change(word, "enable_jupyter", json);
}

/** Stops Jupyter in a job. */
export function turnOff({ json }: JsonFlags, word?: string): Promise<void> {
  return change(word, "disable_jupyter", json);
}

/** Prints the address of a job's Jupyter. */
export async function showUrl({ json }: JsonFlags, word?: string): Promise<void> {
  const berth = await connect();
  const { job_id } = await findJob(berth, word);
  printUrl(await berth.jobs.get(job_id), json);
}

/** Prints the address of a job's Jupyter and opens it in a browser. */
export async function openUrl({ json }: JsonFlags, word?: string): Promise<void> {
  const berth = await connect();
  const { job_id } = await findJob(berth, word);
  const job = await berth.jobs.get(job_id);
  printUrl(job, json);
  const result = await openSecretLink(webAddress(job));
  if (result === "no desktop") say("There is no display here, so open the address yourself.");
  if (result === "not asked") say("No browser has asked for it, so open the address yourself.");
}

/** A desktop would open files and programs too, and the address comes from the server. */
function webAddress({ jupyter_url }: Job): string {
  if (jupyter_url !== null && /^https?:\/\/[!-~]+$/.test(jupyter_url)) return jupyter_url;
  throw new CliError(
    "The server sent an invalid address of Jupyter, so it was not opened",
    exitCodes.failed,
    doctorHint,
  );
}

async function change(word: string | undefined, action: "enable_jupyter" | "disable_jupyter", json: boolean) {
  const berth = await connect();
  const { job_id } = await findJob(berth, word);
  const { job } = await berth.jobs.act(job_id, { action });
  if (action === "enable_jupyter") return printUrl(job, json);
  if (json) return outJson(job);
  out(`${calledJob(job)} has no Jupyter any more.\n`);
}

type Job = Awaited<ReturnType<Berth["jobs"]["get"]>>;

function printUrl(job: Job, json: boolean): void {
  if (job.jupyter_enabled && job.jupyter_url === null && job.warning) {
    const hint = `Forward its port with: berth forward ${jobWord(job)} 8888`;
    throw new CliError(
      `Jupyter of ${calledJob(job)} has no address: ${printable(job.warning)}`,
      exitCodes.failed,
      hint,
    );
  }
  if (job.jupyter_url === null) {
    const reason = job.jupyter_error ?? "it is off";
    const hint = `Turn it on with: berth jupyter on ${jobWord(job)}`;
    throw new CliError(`${calledJob(job)} has no Jupyter: ${printable(reason)}`, exitCodes.failed, hint);
  }
  if (json) outJson(job);
  if (!json) out(`${printable(job.jupyter_url)}\n`);
  say("Whoever has this address gets in: it holds the token.");
}

/** Lets the SSH keys of a GitHub user into a job. */
export async function share({ json }: JsonFlags, ...words: string[]): Promise<void> {
  const berth = await connect();
  const user = words.at(-1) ?? "";
  const { job_id } = await findJob(berth, words.length > 1 ? words[0] : undefined);
  const { job } = await berth.jobs.act(job_id, { action: "add_user", github_username: user });
  if (json) return outJson(job);
  out(`${printable(user)} gets into ${calledJob(job)} with: ${printable(job.ssh_command ?? "ssh")}\n`);
}
