import { spawn } from "node:child_process";
import type { Berth } from "../../sdk/berth.ts";
import type { Disk } from "../../sdk/disks.ts";
import type { Job, JobEstimate, SubmitJob } from "../../sdk/jobs.ts";
import { CliError, doctorHint, exitCodes, QuietExit } from "../failure.ts";
import { calledJob, statusLine } from "../jobs/job-words.ts";
import { machines } from "../jobs/machines.ts";
import { submitJob } from "../jobs/submit-job.ts";
import { connect } from "../login/connect.ts";
import { say } from "../terminal/terminal.ts";
import { printable } from "../terminal/text.ts";
import { sshTarget } from "./ssh-session.ts";
import type { SshTarget, SshTargetOptions } from "./ssh-target.ts";

/** A path on a disk, as `disk:NAME/path` names it behind the colon. */
export interface DiskPath {
  readonly disk: string;
  /** Relative to the disk. */
  readonly path: string;
}

/** A disk whose files SSH reaches. */
export interface OpenDisk {
  readonly target: SshTarget;
  /** The job that has the disk. */
  readonly jobId: string;
  /** Returns where a path of the disk lies in the environment. */
  locate(path: string): string;
  close(): Promise<void>;
}

/** The prefix of a path on a disk, before its colon. */
export const diskWord = "disk";

/** Machines without GPUs, the cheapest first by the prices of AWS. */
const copyTypes = ["cpu-arm", "cpu-x86"] as const;
const MOST_HOURS = 1;
/** An image for x86 and for ARM processors. */
const copyImage = "debian:13-slim";

/**
 * Ends the environment seconds after its last copy, and two minutes after its start if none came. Each copy holds a
 * file for as long as its SSH session lives, so a copy that was killed counts as done.
 */
const endWhenIdle = [
  'idle=0; while [ "$idle" -lt 60 ]; do sleep 2; set -- /tmp/.berth-copy.*',
  'if [ -e "$1" ] || rm /tmp/.berth-copied 2>/dev/null; then idle=57; else idle=$((idle+1)); fi; done',
].join("; ");
const holdOpen = [
  'f=/tmp/.berth-copy.$$; trap \'rm -f "$f"\' EXIT; : > "$f"; : > /tmp/.berth-copied',
  'echo "$WORKSPACE"; read -r _',
].join("; ");

/** Reads `NAME/path` and refuses paths that leave the disk. */
export function readDiskPath(text: string): DiskPath {
  const [disk = "", ...segments] = text.split("/");
  if (disk === "") {
    throw new CliError("A disk is named as disk:NAME/path", exitCodes.usage, "List yours with: berth disks");
  }
  if (segments.includes(".."))
    throw new CliError("A path on a disk has no '..'", exitCodes.usage, "For example: disk:NAME/src");
  return { disk, path: segments.join("/") };
}

/**
 * Reaches the files of a disk through the job that has it. If none has it, an environment without GPUs is started for
 * the copy.
 */
export async function openDisk(
  berth: Berth,
  name: string,
  signal: AbortSignal,
  options: SshTargetOptions = {},
): Promise<OpenDisk> {
  const disk = await berth.disks.get(name, { signal });
  if (disk.is_deleted) {
    const hint = `Bring it back with: berth disks undelete ${printable(name)}`;
    throw new CliError(`Disk '${printable(name)}' is deleted`, exitCodes.failed, hint);
  }
  const hold = async (jobId: string) => ({
    ...(await holdDisk(await sshTarget(berth, jobId, signal, options), name)),
    jobId,
  });
  const startOwn = async () => hold(await startCopyJob(berth, disk, signal));
  if (disk.reservation_id === null) return startOwn();
  const holder = await berth.jobs.get(disk.reservation_id, { signal });
  say(`Disk ${printable(name)} is in use: going through ${calledJob(holder)}.`);
  try {
    return await hold(holder.job_id);
  } catch (error) {
    // Another copy may just have ended the environment that it started.
    if (holder.name !== copyName(name) || signal.aborted) throw error;
    return startOwn();
  }
}

/** Starts an environment and waits until it is active. Ends it if the wait is interrupted. */
async function startCopyJob(berth: Berth, disk: Disk, signal: AbortSignal): Promise<string> {
  const request = await cheapest(berth, disk);
  const { job_id } = await submitJob(berth, request);
  const note = `It ends when the copy is done, after ${MOST_HOURS} hour at the latest.`;
  say(
    `Starting a ${request.instance_type} without GPUs for disk ${printable(disk.disk_name)}: ${request.name}. ${note}`,
  );
  try {
    const job = await berth.jobs.wait(job_id, { until: "active", signal, onChange: (state) => say(statusLine(state)) });
    if (job.status === "active") return job_id;
    throw notStarted(job);
  } catch (error) {
    if (!signal.aborted) throw error;
    // The interrupted signal ends every call of `berth`.
    await (await connect()).jobs.cancel(job_id);
    say("Nothing was copied. The environment for it is ended.");
    throw new QuietExit(exitCodes.detached);
  }
}

function notStarted(job: Job): CliError {
  const hint = `See why with: berth show ${job.job_id}`;
  return new CliError(
    `${calledJob(job)} is ${job.status}: ${printable(job.status_reason ?? "")}`,
    exitCodes.failed,
    hint,
  );
}

/** Returns the request for the machine that starts first; among those that start at the same time, the cheapest. */
async function cheapest(berth: Berth, { disk_name }: Disk): Promise<SubmitJob> {
  const { availability } = await berth.availability();
  const requests = copyTypes.filter((type) => type in availability).map((type) => copyRequest(type, disk_name));
  const [first, ...others] = await Promise.all(
    requests.map(async (request) => ({ request, startsAt: getStart(await berth.jobs.estimate(request)) })),
  );
  if (first)
    return others.reduce((best, next) => (next.startsAt < best.startsAt - 60_000 ? next : best), first).request;
  const hint = "Start a job with the disk and copy to that";
  throw new CliError("There is no machine without GPUs", exitCodes.noCapacity, hint);
}

/** Infinite if no start is known, for example before the first plan. */
function getStart({ estimated_start_time }: JobEstimate): number {
  return estimated_start_time === null ? Number.POSITIVE_INFINITY : Date.parse(estimated_start_time);
}

function copyRequest(type: (typeof copyTypes)[number], disk: string) {
  const { instanceType: instance_type } = machines[type];
  const job = { name: copyName(disk), gpu_count: 0, duration_hours: MOST_HOURS, command: endWhenIdle } as const;
  return { ...job, image: copyImage, instance_type, disk_name: disk };
}

/** Holds the environment open and asks where the disk lies in it. */
async function holdDisk(target: SshTarget, name: string): Promise<Omit<OpenDisk, "jobId">> {
  const words = [...target.options, "-T", "-p", target.port, "--", `${target.user}@${target.host}`, holdOpen];
  const session = spawn("ssh", words, { stdio: ["pipe", "pipe", "inherit"], detached: true });
  const ended = new Promise<void>((resolve) => session.once("close", () => resolve()).once("error", () => resolve()));
  session.stdin.on("error", () => undefined);
  let text = "";
  for await (const part of session.stdout) {
    text += String(part);
    if (text.includes("\n")) break;
  }
  const workspace = text.slice(0, text.indexOf("\n"));
  const close = async () => {
    session.stdin.end();
    await ended;
  };
  if (/^\/[\w./-]*$/.test(workspace)) {
    say(`Connected to disk ${printable(name)}.`);
    return { target, locate: (path) => `${workspace}/${path}`, close };
  }
  await close();
  throw new CliError("The environment does not say where the disk is", exitCodes.failed, doctorHint);
}

function copyName(disk: string): string {
  return `disk-copy-${disk}`;
}
