import type { Step } from "../../../reconciler/step.ts";
import type { Settings } from "../../../settings.ts";
import { MINUTE_MS } from "../../../units.ts";
import type { Environment } from "../../record/record.ts";
import { changed } from "../../record/step-result.ts";
import { enter } from "../../record/transitions.ts";
import { endRun } from "./end-run.ts";

/** The most runs after the first. Without a limit, a job on scarce Spot machines would pay for start-ups for ever. */
const MOST_REQUEUES = 10;
/** A job with less time left fails instead, because it would spend most of that time on its start. */
const LEAST_LEFT_MS = 5 * MINUTE_MS;
/** Time to copy the log, remove the run and detach the disk, after the grace period of the command. */
const LEAVING_MS = 45_000;

/**
 * Ends a run whose machine was taken back or lost. Its environment returns to the queue (requeue.ts) with the time that
 * it has left, if its policy says so. Otherwise it ends as `endRun` ends it.
 */
export function endInterrupted(environment: Environment, now: number, reason: string): Step<Environment> {
  const { policy, starts } = environment;
  if (policy.onInterruption !== "requeue") return endRun(environment, now, reason);
  if (!isEvictable(environment)) return endRun(environment, now, `${reason} (interrupted ${starts + 1} times)`);
  if (!mayRequeue(environment, now)) return endRun(environment, now, `${reason} (less than 5 minutes before its end)`);
  return changed(enter(environment, "stopping", now, `${reason}; it is queued again`), now, "stopping");
}

/** Reports whether an environment returns to the queue when its present run is interrupted, if it has enough time left. */
export function isEvictable({ policy, starts }: Pick<Environment, "policy" | "starts">): boolean {
  return policy.onInterruption === "requeue" && starts < MOST_REQUEUES;
}

function mayRequeue(environment: Environment, now: number): boolean {
  return isEvictable(environment) && leftMs(environment, now) >= LEAST_LEFT_MS;
}

/** Returns the time that an environment has left that was stopped at `stoppedAt`, ms. */
export function leftMs({ times: { endsAt }, size }: Environment, stoppedAt: number): number {
  return endsAt === null ? size.wantedMs : endsAt - stoppedAt;
}

/** Reports whether a stopping environment returns to the queue. */
export function isRequeued({ phase, policy, end: { outcome } }: Environment): boolean {
  return phase === "stopping" && outcome === null && !policy.restarts;
}

/**
 * Returns when to end a run on a Spot machine that EC2 takes back, so that its command gets SIGTERM and its disk is
 * detached in time. Infinity if the run is not to be ended before.
 */
export function leavesAt(
  environment: Environment,
  { graceSeconds }: Pick<Settings, "graceSeconds">,
  now: number,
): number {
  const { interruption } = environment.run;
  if (interruption?.kind !== "spot" || !mayRequeue(environment, now)) return Number.POSITIVE_INFINITY;
  return (interruption.endsAt ?? now) - graceSeconds * 1000 - LEAVING_MS;
}
