import type { Berth } from "../../sdk/berth.ts";
import { isEnded } from "../../sdk/job-state.ts";
import type { Job } from "../../sdk/jobs.ts";
import { CliError, exitCodes } from "../failure.ts";
import { calledJob, jobWord } from "../jobs/job-words.ts";
import { hasSafeRsync } from "../ssh/rsync-version.ts";
import { sshTarget } from "../ssh/ssh-session.ts";
import type { SshTarget } from "../ssh/ssh-target.ts";
import { say } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";
import { type CopyPlace, copyIn, copyOut } from "./copy.ts";
import { follow, type PrintOutput } from "./follow.ts";
import type { Interrupts } from "./interrupts.ts";
import { listFiles } from "./list-files.ts";
import { throughOutages } from "./outages.ts";
import { askScript } from "./remote.ts";
import { existScript, goScript, probeScript, releaseScript, startMark, startScript } from "./remote-scripts.ts";
import type { StoredRun } from "./stored-run.ts";

export interface ActiveRun {
  readonly berth: Berth;
  readonly job: Job;
  readonly run: StoredRun;
  readonly interrupts: Interrupts;
  readonly print: PrintOutput;
  /** Set once the job has the command. */
  isStarted: boolean;
}

/**
 * Copies the directory, starts the command unless it was started before, prints its output and returns its exit code.
 */
export async function runCommand(active: ActiveRun): Promise<number> {
  const { run, interrupts, print } = active;
  await overConnections(active, (target, connected) => begin(active, target, connected));
  active.isStarted = true;
  const position = { out: 0, err: 0 };
  return overConnections(active, (target, connected) =>
    follow(target, { id: run.id, position, interrupts, connected, print }),
  );
}

async function begin(active: ActiveRun, target: SshTarget, connected: () => void): Promise<void> {
  const { run, interrupts } = active;
  const { signal } = interrupts;
  const { isStarted, ...place } = await probe(active, target);
  connected();
  if (isStarted) return;
  const { paths, bytes } = listFiles(run.local);
  say(`Copying ${paths.length} files (${megabytes(bytes)}) to ${printable(place.root)}/${run.name} in the job.`);
  if (paths.length > 0) await copyIn(place, paths);
  const stays = run.keep || run.pull.length > 0;
  const input = goScript({ id: run.id, directory: run.name, command: run.command, stays });
  await askScript(target, { script: startScript(run.id, input), input, signal });
}

const shellHint = "Use an image whose login shell is a POSIX shell, such as bash";

async function probe({ run, interrupts }: ActiveRun, target: SshTarget): Promise<CopyPlace & { isStarted: boolean }> {
  const { signal } = interrupts;
  const script = probeScript(run.id, run.name);
  const [root = "", started, program] = await askScript(target, { script, signal }, startMark(run.id));
  if (!root.startsWith("/"))
    throw new CliError("The job's shell did not answer as a POSIX shell", exitCodes.failed, shellHint);
  const withRsync = program === "rsync" && hasSafeRsync();
  return { target, local: run.local, name: run.name, root, withRsync, signal, isStarted: started === "started" };
}

/** Copies the wanted paths back. Returns the missing ones. */
export async function pull(active: ActiveRun): Promise<string[]> {
  const { run, interrupts } = active;
  if (run.pull.length === 0) return [];
  return overConnections(active, async (target, connected) => {
    const { isStarted: _, ...place } = await probe(active, target);
    connected();
    const call = { script: existScript(run.id, run.name), args: run.pull.map((path) => `./${path}`) };
    const answers = await askScript(target, { ...call, signal: interrupts.signal }, startMark(run.id));
    const found = run.pull.filter((_path, at) => answers[at] === "y");
    if (found.length > 0) await copyOut(place, found);
    return run.pull.filter((path) => !found.includes(path));
  });
}

/** Lets the job end with the command's exit code. A job that does not end soon is cancelled. */
export async function release({ berth, job, run, interrupts }: ActiveRun): Promise<void> {
  const { signal } = interrupts;
  try {
    const target = await sshTarget(berth, job.job_id, signal);
    await askScript(target, { script: releaseScript(run.id), signal });
    await berth.jobs.wait(job.job_id, { until: "ended", timeoutMs: 20_000, signal });
  } catch {
    await berth.jobs.cancel(job.job_id);
  }
}

/** The job ended while the connection was away. */
export class JobEnded extends Error {
  readonly job: Job;

  constructor(job: Job) {
    super("The job ended");
    this.job = job;
  }
}

/** Does the work over SSH, and reconnects and repeats it until it succeeds or the job ends. */
function overConnections<Value>(
  { berth, job, interrupts: { signal } }: ActiveRun,
  work: (target: SshTarget, connected: () => void) => Promise<Value>,
): Promise<Value> {
  const attempt = async (connected: () => void) => {
    const latest = await berth.jobs.get(job.job_id, { signal });
    if (isEnded(latest.status)) throw new JobEnded(latest);
    return work(await sshTarget(berth, job.job_id, signal), connected);
  };
  return throughOutages(attempt, {
    signal,
    onLost: ({ message }) => say(`The connection to ${calledJob(job)} was lost: ${printable(message)}. Trying again.`),
    tooLong: () => outage(job),
  });
}

function outage(job: Job): CliError {
  const hint = `The job goes on. Come back with: berth run --attach ${jobWord(job)}`;
  return new CliError(`${calledJob(job)} cannot be reached for 10 minutes`, exitCodes.unreachable, hint);
}

function megabytes(bytes: number): string {
  return bytes < 1_000_000 ? `${Math.ceil(bytes / 1000)} kB` : `${Math.round(bytes / 1_000_000)} MB`;
}
