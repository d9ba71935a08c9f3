import type { Berth } from "../../sdk/berth.ts";
import { isEnded } from "../../sdk/job-state.ts";
import type { Job, SubmitJob } from "../../sdk/jobs.ts";
import { connect } from "../connect.ts";
import { exitCodes, QuietExit } from "../failure.ts";
import { calledJob, jobWord, machineOf } from "../job-words.ts";
import { ownSshKey } from "../ssh-key.ts";
import { rememberKey } from "../ssh-session.ts";
import { type JobSettings, readVariables, submitRequest } from "../submit-request.ts";
import { interruptSignal, out, outJson, say } from "../terminal.ts";
import { printable, timeSpan } from "../text.ts";
import { detached, watchJob } from "../watch-job.ts";
import { wordsAfterDashes } from "../words-after-dashes.ts";
import { describeJob } from "./show.ts";

export interface UpFlags {
  readonly type?: string;
  readonly gpus?: number;
  readonly hours?: number;
  readonly image?: string;
  readonly disk?: string;
  readonly diskSize?: number;
  readonly env?: readonly string[];
  readonly github?: string;
  readonly jupyter: boolean;
  readonly detach: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Submits a job and waits until it is active. */
export async function up(flags: UpFlags, name?: string): Promise<void> {
  const berth = await connect();
  const request = submitRequest(settingsFrom(flags, name));
  if (flags.dryRun) return estimate(berth, request, flags.json);
  const signal = interruptSignal();
  // Ctrl-C now would leave it open whether there is a job, so the answer is waited for.
  const { publicKey } = ownSshKey();
  const { job_id, warning } = await berth.jobs.submit({ ...request, ssh_public_keys: [publicKey] });
  rememberKey({ job_id }, publicKey);
  if (warning !== undefined) say(`note: ${printable(warning)}`);
  const job = await berth.jobs.get(job_id);
  if (!flags.json) say(`Submitted ${calledJob(job)}: ${machineOf(job)} for ${job.duration_hours} h.`);
  if (flags.detach) return showStart(job, flags.json);
  if (signal.aborted) throw detached(job);
  const started = await watchJob(berth, job, { until: "active", json: flags.json, signal });
  if (!flags.json) out(describeJob(started));
  if (isEnded(started.status) && started.status !== "completed") throw new QuietExit(exitCodes.failed);
}

/** Returns the settings that the command line names. */
function settingsFrom({ env, jupyter, ...flags }: UpFlags, name: string | undefined): JobSettings {
  const { type, gpus, hours, image, disk, diskSize, github } = flags;
  const command = wordsAfterDashes();
  return {
    name,
    type,
    gpus,
    hours,
    image,
    disk,
    diskSize,
    github,
    env: env && readVariables(env),
    jupyter: jupyter || undefined,
    command: command.length > 0 ? command : undefined,
  };
}

function showStart(job: Job, json: boolean): void {
  if (json) outJson(job);
  if (!json) out(`${job.job_id}\n`);
  say(`Watch it with: berth attach ${jobWord(job)}. End it with: berth end ${jobWord(job)}`);
}

async function estimate(berth: Berth, request: SubmitJob, json: boolean): Promise<void> {
  const found = await berth.jobs.estimate(request);
  if (json) return outJson(found);
  const gpus = request.gpu_count ?? 0;
  const hours = request.duration_hours ?? 1;
  const cost = gpus > 0 ? `${gpus} × ${hours} h = ${gpus * hours} GPU-hours` : `${hours} h without GPUs`;
  const lines = [`${request.instance_type}: ${cost}`, printable(found.reason)];
  if (found.estimated_start_time !== null) {
    lines.push(`Starts in ${timeSpan(Date.parse(found.estimated_start_time) - Date.now())}, as estimated`);
  }
  for (const { gpu_count, estimated_start_time } of found.alternatives) {
    if (estimated_start_time === null) continue;
    lines.push(`${gpu_count} GPUs would start in ${timeSpan(Date.parse(estimated_start_time) - Date.now())}`);
  }
  out(`${lines.join("\n")}\n`);
}
