import type { Action } from "#core/environments/record/changes/actions.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { GPU_WARNING } from "#core/environments/steps/gpu-idle.ts";
import { INTERRUPTION_WARNING } from "#core/environments/steps/interruption.ts";
import { endWarning } from "#core/environments/steps/warnings.ts";
import type { Settings } from "#core/settings.ts";
import { durationText } from "#core/text/duration-text.ts";
import { utcText } from "#core/text/utc.ts";
import { toJobAction } from "./action.ts";

interface Surroundings {
  readonly now: number;
  readonly outage: number | undefined;
  readonly settings: Pick<Settings, "userAccess">;
}

type WarningSource = (environment: Environment, surroundings: Surroundings) => readonly string[];

const sources: readonly WarningSource[] = [
  findEndWarning,
  findInterruption,
  findShortening,
  findGpuWarning,
  findRequestWarnings,
  findGuestWarnings,
  findJupyterWarnings,
  findEntryWarnings,
  findOutageWarnings,
];

export function joinWarnings(environment: Environment, surroundings: Surroundings): string | null {
  return sources.flatMap((find) => find(environment, surroundings)).join("; ") || null;
}

function findEndWarning(environment: Environment, { now }: Surroundings): string[] {
  const warning = endWarning(environment, now);
  return warning === null ? [] : [warning];
}

function findInterruption({ run: { interruption }, events: { timeline } }: Environment): string[] {
  const said = timeline.findLast(({ reason }) => reason?.startsWith(INTERRUPTION_WARNING));
  return said && interruption ? [`${said.reason} (as of ${utcText(said.at)})`] : [];
}

/** Tells a job that accepted less time (`min_duration_hours`) why it ends early. */
function findShortening({ placement: { shortened } }: Environment): string[] {
  if (!shortened) return [];
  const { ms, until } = shortened;
  return [`It got ${durationText(ms)} less than asked, to end before machines close at ${utcText(until)}`];
}

function findGpuWarning({ use: { gpus }, events: { timeline } }: Environment): string[] {
  const said = timeline.findLast(({ reason }) => reason?.startsWith(GPU_WARNING));
  return said && typeof gpus?.warnedAt === "number" ? [`${said.reason} (as of ${utcText(said.at)})`] : [];
}

function findRequestWarnings(environment: Environment): string[] {
  return findFailures(environment).map(
    ({ action, id, status, error }) => `${action} (request ${id})${status === "failed" ? " failed" : ""}: ${error}`,
  );
}

function findGuestWarnings({ access: { guestFault } }: Environment): string[] {
  return guestFault === undefined ? [] : [guestFault.reason];
}

/** Explains why Jupyter is missing if the submit requested it, unless a failed request already does. */
function findJupyterWarnings(environment: Environment): string[] {
  const { jupyterFault } = environment.access;
  const isSaid = findFailures(environment).some(({ action }) => action === "enable_jupyter");
  return jupyterFault === undefined || isSaid ? [] : [`Jupyter could not be started: ${jupyterFault}`];
}

/** Warns that a job with keys, users or Jupyter cannot be entered, or only by SSH. */
function findEntryWarnings({ access: { keyed, guests, jupyter } }: Environment, { settings }: Surroundings): string[] {
  if (settings.userAccess === "none") return keyed || guests.length > 0 || jupyter ? [NO_ENTRY] : [];
  return settings.userAccess === "nodeport" && jupyter ? [ONLY_SSH] : [];
}

const NO_ENTRY = "SSH, Jupyter and pages of this job cannot be reached: this deployment has no way in (ACCESS=none)";

const ONLY_SSH =
  "Jupyter of this job has no address outside, because this deployment lets in SSH alone (ACCESS=nodeport). " +
  "Forward its port by SSH, usually 8888, and open it with jupyter_token";

/** Warns that the state of the job is unknown. The job probably runs on. */
function findOutageWarnings(_: Environment, { outage }: Surroundings): string[] {
  return outage === undefined ? [] : [`The cluster has not answered since ${utcText(outage)}; requests wait for it`];
}

function findFailures(environment: Environment) {
  const newest = new Map(environment.requests.list.map((action) => [getSubject(action), action]));
  return [...newest.values()]
    .toSorted((a, b) => b.id - a.id)
    .flatMap((action) => toJobAction(action, environment))
    .filter(({ error }) => error !== null);
}

/** Returns the key by which a later request supersedes an earlier one. */
function getSubject({ kind, subject }: Action): string {
  return kind.endsWith("_jupyter") ? "jupyter" : `${kind} ${subject}`;
}
