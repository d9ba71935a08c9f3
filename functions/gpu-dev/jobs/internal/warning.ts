import type { Action } from "#core/environments/record/changes/actions.ts";
import type { Environment } from "#core/environments/record/record.ts";
import { GPU_WARNING } from "#core/environments/steps/gpu-idle.ts";
import { endWarning } from "#core/environments/steps/warnings.ts";
import { utcText } from "#core/text/utc.ts";
import { toJobAction } from "./action.ts";

/** The moment of the request and the state of the cluster, on which warnings depend. */
interface Surroundings {
  readonly now: number;
  /** The cluster has not answered since this time (ms). Undefined if it answers. */
  readonly outage: number | undefined;
}

/** Returns the warnings of one kind about an active job. */
type WarningSource = (environment: Environment, surroundings: Surroundings) => readonly string[];

/** Every kind of warning, in the order in which `warning` shows them. */
const sources: readonly WarningSource[] = [
  findEndWarning,
  findGpuWarning,
  findRequestWarnings,
  findGuestWarnings,
  findJupyterWarnings,
  findOutageWarnings,
];

/** Joins all warnings about an active job into one text. Returns null if the job has none. */
export function joinWarnings(environment: Environment, surroundings: Surroundings): string | null {
  return sources.flatMap((find) => find(environment, surroundings)).join("; ") || null;
}

/** Says that the job expires soon, from the first notice on until an extension shows. */
function findEndWarning(environment: Environment, { now }: Surroundings): string[] {
  const warning = endWarning(environment, now);
  return warning === null ? [] : [warning];
}

/** Repeats that the job ends because its GPUs are idle, until they are used. */
function findGpuWarning({ use: { gpus }, events: { timeline } }: Environment): string[] {
  const said = timeline.findLast(({ reason }) => reason?.startsWith(GPU_WARNING));
  return said && typeof gpus?.warnedAt === "number" ? [`${said.reason} (as of ${utcText(said.at)})`] : [];
}

/** Finds requests that failed or are retried, newest first. A newer request for the same thing replaces an older one. */
function findRequestWarnings(environment: Environment): string[] {
  return findFailures(environment).map(
    ({ action, id, status, error }) => `${action} (request ${id})${status === "failed" ? " failed" : ""}: ${error}`,
  );
}

/** Returns why the GitHub user of the submit does not get in. */
function findGuestWarnings({ access: { guestFault } }: Environment): string[] {
  return guestFault === undefined ? [] : [guestFault.reason];
}

/** Says why Jupyter is missing if the submit asked for it. A failed request says so itself. */
function findJupyterWarnings(environment: Environment): string[] {
  const { jupyterFault } = environment.access;
  const isSaid = findFailures(environment).some(({ action }) => action === "enable_jupyter");
  return jupyterFault === undefined || isSaid ? [] : [`Jupyter could not be started: ${jupyterFault}`];
}

/** Says that the state of the job is unknown. The job probably runs on. */
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

/** Returns what a later request settles: each guest by itself, and whether Jupyter runs. */
function getSubject({ kind, subject }: Action): string {
  return kind.endsWith("_jupyter") ? "jupyter" : `${kind} ${subject}`;
}
