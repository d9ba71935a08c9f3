import { randomBytes } from "node:crypto";
import { realpathSync, statSync } from "node:fs";
import { basename } from "node:path";
import type { Berth } from "../../../sdk/berth.ts";
import { isEnded } from "../../../sdk/job-state.ts";
import type { Job } from "../../../sdk/jobs.ts";
import { CliError, describeError, exitCodes, QuietExit } from "../../failure.ts";
import { findJob } from "../../jobs/find-job.ts";
import { gatherSettings, type SettingsFlags } from "../../jobs/gather-settings.ts";
import { calledJob, describeMachine, jobWord, type NamedJob } from "../../jobs/job-words.ts";
import { submitJob } from "../../jobs/submit-job.ts";
import { type JobSettings, readRegistryLogin, submitRequest } from "../../jobs/submit-request.ts";
import { watchJob } from "../../jobs/watch-job.ts";
import { connect } from "../../login/connect.ts";
import { outputPrinter } from "../../run/follow.ts";
import { watchInterrupts } from "../../run/interrupts.ts";
import { listFiles } from "../../run/list-files.ts";
import { type ActiveRun, JobEnded, pull, release, runCommand } from "../../run/perform-run.ts";
import { waitingCommand } from "../../run/remote-scripts.ts";
import { forgetRun, readRun, type StoredRun, storeRun } from "../../run/stored-run.ts";
import { outJson, say, sayError } from "../../terminal/terminal.ts";
import { printable, shellCommand, told } from "../../terminal/text.ts";

interface RunFlags extends SettingsFlags {
  readonly pull?: readonly string[];
  readonly keep: boolean;
  readonly dir: string;
  readonly attach: boolean;
  readonly yes: boolean;
  readonly json: boolean;
}

/** Runs a command in a new job with the files of a directory, and ends with the command's exit code. */
export async function run(flags: RunFlags, name?: string): Promise<void> {
  try {
    throw new QuietExit(await perform(flags, name));
  } catch (error) {
    if (error instanceof QuietExit) throw error;
    sayError(`${describeError(error)}\nberth failed, not the command: exit code 255`);
    throw new QuietExit(exitCodes.ownFailure);
  }
}

async function perform(flags: RunFlags, name: string | undefined): Promise<number> {
  const settings = flags.attach ? undefined : await gatherSettings(flags, name);
  const prepared = settings && prepareRun(flags, settings);
  const interrupts = watchInterrupts();
  const berth = await connect();
  const { job, run } = prepared
    ? { job: await submit(berth, settings, prepared), run: prepared }
    : await findRun(berth, name);
  const { json } = flags;
  const print = outputPrinter(job.job_id, json);
  const active: ActiveRun = { berth, job, run, interrupts, print, isStarted: flags.attach };
  try {
    const code = await follow(active, json);
    if (json) await showJob(active);
    return code;
  } catch (error) {
    if (error instanceof JobEnded) return endedBefore(error.job, json);
    if (interrupts.signal.aborted) return await leave(active);
    await afterFailure(active);
    throw error;
  }
}

/** The command's exit code counts even if the deployment does not answer any more. */
async function showJob({ berth, job }: ActiveRun): Promise<void> {
  try {
    outJson(await berth.jobs.get(job.job_id));
  } catch (error) {
    sayError(`${describeError(error)}\nThe command has ended, and its job could not be read.`);
  }
}

const pullHint = "hint: --pull takes paths as the command leaves them, seen from the directory that was copied in";

/** The job ends after the command, unless it is kept or files could not be fetched. */
async function follow(active: ActiveRun, json: boolean): Promise<number> {
  const { berth, job, run, interrupts } = active;
  const { signal } = interrupts;
  signal.throwIfAborted();
  if (isEnded(job.status)) throw new JobEnded(job);
  const started = await watchJob(berth, job, { until: "active", json, signal, onAbort: () => signal.reason });
  if (isEnded(started.status)) throw new JobEnded(started);
  const code = await runCommand(active);
  const missing = await pull(active);
  for (const path of missing) sayError(`error: The command left no '${printable(path)}' to copy back.\n${pullHint}`);
  if (run.keep)
    say(`Kept ${calledJob(job)}. Enter it with: berth ssh ${jobWord(job)}. End it with: berth end ${jobWord(job)}`);
  if (!run.keep) await release(active);
  forgetRun(job.job_id);
  return code === 0 && missing.length > 0 ? exitCodes.ownFailure : code;
}

const mostBytes = 2_000_000_000;

/** Flags replace the paths of a file. */
function prepareRun({ dir, keep, yes, ...flags }: RunFlags, settings: JobSettings): StoredRun {
  const { command: words = [] } = settings;
  const paths = flags.pull ?? settings.pull ?? [];
  if (words.length === 0) {
    throw new CliError("Say what to run", exitCodes.usage, "For example: berth run --type h100 -- python train.py");
  }
  if (settings.requeue) {
    const hint = "Use: berth up --requeue, with a disk";
    throw new CliError("berth run cannot go on in a job that returns to the queue", exitCodes.usage, hint);
  }
  const local = localDirectory(dir);
  const { bytes } = listFiles(local);
  if (bytes > mostBytes && !yes) {
    const hint = "Name what to leave out in .berthignore, choose another --dir, or give --yes";
    throw new CliError(`${printable(dir)} holds ${(bytes / 1e9).toFixed(1)} GB`, exitCodes.usage, hint);
  }
  const name =
    basename(local)
      .replace(/[^\w.-]/g, "_")
      .replace(/^[.-]+/, "") || "files";
  return {
    id: randomBytes(4).toString("hex"),
    command: shellCommand(words),
    local,
    name,
    pull: paths.map(pullPath),
    keep,
  };
}

function localDirectory(dir: string): string {
  if (statSync(dir, { throwIfNoEntry: false })?.isDirectory()) return realpathSync(dir);
  throw new CliError(`There is no directory '${printable(dir)}'`, exitCodes.usage, "Name the directory with --dir");
}

/** A path comes back to where it has been in the directory, so it lies in it. */
function pullPath(path: string): string {
  const clean = path.replace(/^(\.\/+)+/, "").replace(/\/+$/, "");
  const isInside = clean !== "" && !clean.startsWith("/") && !clean.split("/").includes("..");
  if (isInside && !clean.includes("\0")) return clean;
  const hint = "For example: --pull results";
  throw new CliError(`--pull takes a path inside of the directory, not '${printable(path)}'`, exitCodes.usage, hint);
}

async function submit(berth: Berth, settings: JobSettings, run: StoredRun): Promise<Job> {
  const request = await submitRequest(berth, { ...settings, command: [waitingCommand(run.id, run.command)] });
  const login = readRegistryLogin(settings.registryUser);
  const { job_id, warning } = await submitJob(berth, { ...request, ...(login && { registry_auth: login }) });
  try {
    storeRun(job_id, run);
    if (warning !== undefined && run.pull.length === 0) say(`note: ${printable(warning)}`);
    const job = await berth.jobs.get(job_id);
    say(told`Submitted ${calledJob(job)}: ${describeMachine(job)} for ${job.duration_hours} h.`);
    return job;
  } catch (error) {
    await endUnstarted(berth, { job_id, name: request.name ?? "" });
    throw error;
  }
}

async function findRun(berth: Berth, word: string | undefined): Promise<{ job: Job; run: StoredRun }> {
  const { job_id } = await findJob(berth, word);
  const job = await berth.jobs.get(job_id);
  const run = readRun(job_id);
  if (run) return { job, run };
  const hint = `See what it printed with: berth logs -f ${jobWord(job)}`;
  throw new CliError(`${calledJob(job)} was not started by berth run on this machine`, exitCodes.notFound, hint);
}

/** Ends the job or keeps it, as the user chose. */
async function leave({ berth, job, run, interrupts, isStarted }: ActiveRun): Promise<number> {
  const word = jobWord(job);
  if (interrupts.wantsEnd()) {
    await berth.jobs.cancel(job.job_id).catch((error: unknown) => {
      sayHowToComeBack(job);
      throw error;
    });
    forgetRun(job.job_id);
    say(`Ended ${calledJob(job)}.`);
  } else {
    if (!isStarted) say("The command is not started before you come back.");
    say(`Detached. The job goes on. Come back with: berth run --attach ${word}. End it with: berth end ${word}`);
    if (run.pull.length > 0) say("After its command it keeps its machine until you come back or its time is over.");
  }
  return exitCodes.detached;
}

async function afterFailure({ berth, job, run, isStarted }: ActiveRun): Promise<void> {
  if (isStarted || run.keep) return sayHowToComeBack(job);
  await endUnstarted(berth, job);
}

function sayHowToComeBack(job: NamedJob): void {
  const word = jobWord(job);
  say(`Job ${word} goes on. Come back with: berth run --attach ${word}. End it with: berth end ${word}`);
}

/** Ends a job that would wait for its command for nothing. The failure before matters more than one of this request. */
async function endUnstarted(berth: Berth, job: NamedJob): Promise<void> {
  try {
    await berth.jobs.cancel(job.job_id);
  } catch {
    return sayHowToComeBack(job);
  }
  say(`Ended job ${jobWord(job)}, since its command was not started.`);
  forgetRun(job.job_id);
}

/** The connection was away at the end of the command, or the job was ended. */
function endedBefore(job: Job, json: boolean): number {
  if (json) outJson(job);
  const reason = job.status_reason === null ? "" : `: ${printable(job.status_reason)}`;
  say(told`${calledJob(job)} is ${job.status}${reason}. See what it printed with: berth logs ${jobWord(job)}`);
  forgetRun(job.job_id);
  if (job.exit_code !== null) return job.exit_code;
  sayError("The command's exit code is not known: exit code 255");
  return exitCodes.ownFailure;
}
