import { type SpawnOptions, spawn, spawnSync } from "node:child_process";
import { constants } from "node:os";
import { setTimeout } from "node:timers/promises";
import type { Berth } from "../../sdk/berth.ts";
import type { Job, JobSummary } from "../../sdk/jobs.ts";
import { CliError, exitCodes } from "../failure.ts";
import { calledJob, jobWord } from "../jobs/job-words.ts";
import { watchJob } from "../jobs/watch-job.ts";
import { forgetJob, isLetIn, rememberKey } from "../state/job-entries.ts";
import { say } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";
import { ownSshKey } from "./ssh-key.ts";
import { reachableTarget, readGateway, type SshTarget, type SshTargetOptions } from "./ssh-target.ts";

/** Returns where a job's SSH is. Waits for the job, and lets the CLI's own key in. */
export async function sshTarget(
  berth: Berth,
  id: string,
  signal: AbortSignal,
  options: SshTargetOptions = {},
): Promise<SshTarget> {
  const [job, gateway] = await Promise.all([activeJob(berth, id, signal), readGateway(berth, signal)]);
  return activeTarget(berth, job, signal, { ...options, gateway });
}

/** Returns the SSH address of a job that was just active. Sends no request if the CLI's key is already allowed. */
export async function activeTarget(
  berth: Berth,
  job: JobSummary,
  signal: AbortSignal,
  options: SshTargetOptions = {},
): Promise<SshTarget> {
  const key = ownSshKey();
  if (!isLetIn(job, key.publicKey)) {
    await berth.jobs.act(job.job_id, { action: "add_user", public_key: key.publicKey }, { signal });
    rememberKey(job, key.publicKey);
  }
  return reachableTarget(await getSshCommand(berth, job, signal), key.path, options);
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

function endedError(job: JobSummary): CliError {
  forgetJob(job);
  const reason = job.status_reason === null ? "" : `: ${printable(job.status_reason)}`;
  return new CliError(`${calledJob(job)} is ${job.status}${reason}`, exitCodes.failed, "Start another with: berth up");
}

/** Waits for the SSH command. The server shows it once the next reconcile has installed the key. */
async function getSshCommand(berth: Berth, job: JobSummary, signal: AbortSignal): Promise<JobSummary> {
  let latest = job;
  for (let attempt = 0; latest.ssh_command === null && attempt < 60; attempt++) {
    await setTimeout(500);
    latest = await berth.jobs.get(job.job_id, { signal });
    if (latest.status !== "active") throw endedError(latest);
  }
  if (latest.ssh_command !== null) return latest;
  throw new CliError(
    `${calledJob(job)} has no SSH: ${printable(latest.status_reason ?? "no reason is known")}`,
    exitCodes.failed,
    `See its timeline with: berth show ${jobWord(job)}`,
  );
}

/** Runs a program of OpenSSH on a job. If OpenSSH failed because of the host key, throws that in words. */
export async function runOnJob(
  target: SshTarget,
  program: string,
  words: readonly string[],
  options: OpenSshOptions = {},
): Promise<number> {
  const code = await runOpenSsh(program, words, options);
  if (code === exitCodes.ownFailure || (code !== 0 && program !== "ssh")) refuseOtherHostKey(target);
  return code;
}

/** Checks the host key once more, because ssh ends with the same code for each of its failures. */
function refuseOtherHostKey({ host, port, hostKeys }: SshTarget): void {
  if (hostKeys.length === 0) return;
  const types = hostKeys.map((hostKey) => ` ${hostKey.split(" ")[0]} `);
  const { stdout } = spawnSync("ssh-keyscan", ["-T", "5", "-p", port, "--", host], { encoding: "utf8" });
  const shown = (stdout ?? "").split("\n").filter((line) => types.some((type) => line.includes(type)));
  if (shown.length === 0 || shown.some((line) => hostKeys.some((hostKey) => line.endsWith(` ${hostKey}`)))) return;
  throw new CliError(
    `The SSH server at ${host} port ${port} shows another host key than the API names, so it got no session`,
    exitCodes.ownFailure,
    "Somebody may stand between you and the job: ask the operators before you try again",
  );
}

export interface OpenSshOptions extends SpawnOptions {
  /** Gets each piece of standard output, which is not printed. */
  readonly onOutput?: (text: string) => void;
}

/** Signals that reach only this process. Ctrl-C reaches the child by the terminal, too. */
const passedOn = ["SIGTERM", "SIGHUP"] as const;

/** How much later than the end of OpenSSH Node may report Ctrl-C. */
const lateSignalMs = 50;

/**
 * Runs a program of OpenSSH and returns its exit code, or 128 and the number of the signal that ended it. The terminal
 * belongs to OpenSSH until then.
 */
export function runOpenSsh(
  program: string,
  words: readonly string[],
  { onOutput, ...options }: OpenSshOptions = {},
): Promise<number> {
  return new Promise((resolve, reject) => {
    const stdout = onOutput ? "pipe" : "inherit";
    const child = spawn(program, words, { stdio: ["inherit", stdout, "inherit"], ...options });
    if (onOutput) child.stdout?.setEncoding("utf8").on("data", onOutput);
    let ending: NodeJS.Signals | undefined;
    const pass = (name: NodeJS.Signals) => {
      ending = name;
      child.kill(name);
    };
    for (const name of passedOn) process.on(name, pass);
    let isInterrupted = false;
    const noteInterrupt = () => {
      isInterrupted = true;
    };
    process.on("SIGINT", noteInterrupt);
    const stopPassing = () => {
      process.off("SIGINT", noteInterrupt);
      for (const name of passedOn) process.off(name, pass);
    };
    child.once("error", () => {
      stopPassing();
      const hint = `Install it, for example with: apt install ${program === "rsync" ? "rsync" : "openssh-client"}`;
      reject(new CliError(`There is no ${program} on the PATH`, exitCodes.failed, hint));
    });
    child.once("close", async (code, signal) => {
      // Node may report Ctrl-C after the end of the child that it ended.
      if (code === exitCodes.ownFailure) await setTimeout(lateSignalMs);
      stopPassing();
      // Depending on its timing, ssh ends by the signal or with 255 after Ctrl-C.
      if (isInterrupted && code === exitCodes.ownFailure) return resolve(exitCodes.detached);
      // ssh itself ends with 255 after SIGTERM.
      const name = ending ?? signal;
      resolve(name === null || name === undefined ? (code ?? exitCodes.failed) : 128 + constants.signals[name]);
    });
  });
}
