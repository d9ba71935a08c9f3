import type { Berth } from "../../sdk/berth.ts";
import { CliError, exitCodes, QuietExit } from "../failure.ts";
import { flagLine } from "../terminal/flag-line.ts";
import { cancelled, type Questions } from "../terminal/questions.ts";
import { canRewriteLine, say } from "../terminal/terminal.ts";
import { askSettings } from "./ask-settings.ts";
import { planLines } from "./job-plan.ts";
import { type JobSettings, submitRequest } from "./submit-request.ts";

export interface WizardOptions {
  readonly signal: AbortSignal;
  /** The caller shows the plan and starts nothing. */
  readonly isDryRun: boolean;
}

/** Asks for the settings that are open, shows the plan, and asks whether to start the job. */
export async function completeSettings(
  berth: Berth,
  givenSettings: JobSettings,
  { signal, isDryRun }: WizardOptions,
): Promise<JobSettings> {
  try {
    const questions = await openQuestions(signal);
    const settings = await askSettings({ berth, questions, signal }, givenSettings);
    if (!isDryRun) await showPlan(berth, settings, signal);
    say(`\nThe same without questions:\n${flagLine(settings, process.stderr.columns ?? 80)}\n`);
    if (isDryRun || (await questions.confirm("Start it?"))) return settings;
  } catch (error) {
    if (!signal.aborted && !(error instanceof QuietExit)) throw error;
    say("Nothing was submitted.");
    throw cancelled();
  }
  throw new CliError("Nothing was submitted", exitCodes.failed, "Start again with: berth up");
}

async function showPlan(berth: Berth, settings: JobSettings, signal: AbortSignal): Promise<void> {
  const request = await submitRequest(berth, settings, signal);
  say(`\n${planLines(request, await berth.jobs.estimate(request, { signal })).join("\n")}`);
}

/** Loads the questions, which no other command needs. */
async function openQuestions(signal: AbortSignal): Promise<Questions> {
  if (!canRewriteLine()) return (await import("../terminal/plain-questions.ts")).plainQuestions(signal);
  return (await import("../terminal/drawn-questions.ts")).drawnQuestions(signal);
}
