import type { Berth } from "../../sdk/berth.ts";
import { isEnded } from "../../sdk/job-state.ts";
import type { Job, SubmitJob } from "../../sdk/jobs.ts";
import { connect } from "../connect.ts";
import { exitCodes, QuietExit } from "../failure.ts";
import { gatherSettings, type SettingsFlags } from "../gather-settings.ts";
import { planLines } from "../job-plan.ts";
import { calledJob, jobWord, machineOf } from "../job-words.ts";
import { updateHosts } from "../ssh-config.ts";
import { submitJob } from "../submit-job.ts";
import { type JobSettings, submitRequest } from "../submit-request.ts";
import { interruptSignal, isInteractive, out, outJson, outWords, say } from "../terminal.ts";
import { printable, told } from "../text.ts";
import type { WizardOptions } from "../up-wizard.ts";
import { detached, watchJob } from "../watch-job.ts";
import { describeJob } from "./show.ts";

interface UpFlags extends SettingsFlags {
  readonly detach: boolean;
  readonly dryRun: boolean;
  readonly json: boolean;
}

/** Submits a job and waits until it is active. */
export async function up(flags: UpFlags, name?: string): Promise<void> {
  const given = await gatherSettings(flags, name);
  const berth = await connect();
  const signal = interruptSignal();
  const request = submitRequest(await withAnswers(berth, given, { signal, isDryRun: flags.dryRun }));
  if (flags.dryRun) return estimate(berth, request, flags.json);
  // Ctrl-C now would leave it open whether there is a job, so the answer is waited for.
  const { job_id, warning } = await submitJob(berth, request);
  if (warning !== undefined) say(`note: ${printable(warning)}`);
  const job = await berth.jobs.get(job_id);
  if (!flags.json) say(told`Submitted ${calledJob(job)}: ${machineOf(job)} for ${job.duration_hours} h.`);
  if (flags.detach) return showStart(job, flags.json);
  if (signal.aborted) throw detached(job);
  const started = await watchJob(berth, job, { until: "active", json: flags.json, signal });
  if (started.status === "active") await updateHosts(berth, signal);
  if (!flags.json) out(describeJob(started));
  if (isEnded(started.status) && started.status !== "completed") throw new QuietExit(exitCodes.failed);
}

/** On a terminal, settings without a type are completed by questions. */
async function withAnswers(berth: Berth, given: JobSettings, options: WizardOptions): Promise<JobSettings> {
  if (given.type !== undefined || !isInteractive()) return given;
  const { completeSettings } = await import("../up-wizard.ts");
  return completeSettings(berth, given, options);
}

function showStart(job: Job, json: boolean): void {
  if (json) outJson(job);
  if (!json) out(told`${job.job_id}\n`);
  say(`Watch it with: berth attach ${jobWord(job)}. End it with: berth end ${jobWord(job)}`);
}

async function estimate(berth: Berth, request: SubmitJob, json: boolean): Promise<void> {
  const found = await berth.jobs.estimate(request);
  if (json) return outJson(found);
  outWords(`${planLines(request, found).join("\n")}\n`);
}
