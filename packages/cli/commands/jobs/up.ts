import type { Berth } from "../../../sdk/berth.ts";
import { isEnded } from "../../../sdk/job-state.ts";
import type { Job, SubmitJob } from "../../../sdk/jobs.ts";
import { exitCodes, QuietExit } from "../../failure.ts";
import { gatherSettings, type SettingsFlags } from "../../jobs/gather-settings.ts";
import { planLines } from "../../jobs/job-plan.ts";
import { calledJob, describeMachine, jobWord, type NamedJob } from "../../jobs/job-words.ts";
import { beforeSubmit, submitJob } from "../../jobs/submit-job.ts";
import { type JobSettings, readRegistryLogin, submitRequest } from "../../jobs/submit-request.ts";
import type { WizardOptions } from "../../jobs/up-wizard.ts";
import { detached, watchJob } from "../../jobs/watch-job.ts";
import { connect } from "../../login/connect.ts";
import { updateHosts } from "../../ssh/ssh-hosts.ts";
import { interruptSignal, isInteractive, out, outJson, printText, say } from "../../terminal/terminal.ts";
import { printable, told } from "../../terminal/text.ts";
import { describeJob } from "./show.ts";

interface UpFlags extends SettingsFlags {
  readonly requeue: boolean;
  readonly detach: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Submits a job and waits until it is active. */
export async function up(flags: UpFlags, name?: string): Promise<void> {
  const settings = await gatherSettings(flags, name);
  const login = flags.dryRun ? undefined : readRegistryLogin(settings.registryUser);
  const signal = interruptSignal();
  const berth = await beforeSubmit(signal, connectWithKey);
  const answered = await withAnswers(berth, settings, { signal, isDryRun: flags.dryRun });
  const request = await beforeSubmit(signal, () => submitRequest(berth, answered, signal));
  if (flags.dryRun) return beforeSubmit(signal, () => estimate(berth, request, flags.json));
  const { job_id, warning } = await submitJob(berth, { ...request, ...(login && { registry_auth: login }) }, signal);
  if (warning !== undefined) say(`note: ${printable(warning)}`);
  const job = await untilDetached(signal, { job_id, name: request.name ?? "" }, () =>
    berth.jobs.get(job_id, { signal }),
  );
  if (!flags.json) say(told`Submitted ${calledJob(job)}: ${describeMachine(job)} for ${job.duration_hours} h.`);
  if (flags.detach) return showStart(job, flags.json);
  const started = await watchJob(berth, job, { until: "active", json: flags.json, signal });
  if (started.status === "active") await untilDetached(signal, job, () => updateHosts(berth, signal));
  if (!flags.json) out(describeJob(started));
  if (isEnded(started.status) && started.status !== "completed") throw new QuietExit(exitCodes.failed);
}

/** Logs in first, so that an interrupted login submits nothing. */
async function connectWithKey(): Promise<Berth> {
  const berth = await connect();
  await berth.key();
  return berth;
}

/** Runs a step after the submit. If it fails, the user learns how to come back to the job. */
async function untilDetached<Value>(signal: AbortSignal, job: NamedJob, run: () => Promise<Value>): Promise<Value> {
  try {
    return await run();
  } catch (error) {
    if (signal.aborted) throw detached(job);
    say(`The job was submitted. Come back with: berth attach ${jobWord(job)}. End it with: berth end ${jobWord(job)}`);
    throw error;
  }
}

/** On a terminal, asks for the settings that lack a type. */
async function withAnswers(berth: Berth, settings: JobSettings, options: WizardOptions): Promise<JobSettings> {
  if (settings.type !== undefined || !isInteractive()) return settings;
  const { completeSettings } = await import("../../jobs/up-wizard.ts");
  return completeSettings(berth, settings, options);
}

function showStart(job: Job, json: boolean): void {
  if (json) outJson(job);
  if (!json) out(told`${job.job_id}\n`);
  say(`Watch it with: berth attach ${jobWord(job)}. End it with: berth end ${jobWord(job)}`);
}

async function estimate(berth: Berth, request: SubmitJob, json: boolean): Promise<void> {
  const found = await berth.jobs.estimate(request);
  if (json) return outJson(found);
  printText(`${planLines(request, found).join("\n")}\n`);
}
