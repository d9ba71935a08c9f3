import type { Step } from "../../../reconciler/step.ts";
import type { Settings } from "../../../settings.ts";
import { MINUTE_MS } from "../../../units.ts";
import { getGraceSeconds } from "../../record/policy.ts";
import type { Environment } from "../../record/record.ts";
import { changed } from "../../record/step-result.ts";
import { enter } from "../../record/transitions.ts";
import { endRun } from "./end-run.ts";

/** The most returns to the queue. Without a limit, a job on scarce Spot machines would pay for start-ups for ever. */
const MOST_RETURNS = 10;
/** A job with less time left fails instead, because it would spend most of that time on its start. */
const LEAST_LEFT_MS = 5 * MINUTE_MS;
/** Time to copy the log, remove the run and detach the disk, after the grace period of the command. */
const LEAVING_MS = 45_000;

/**
 * Ends a run whose machine was taken back or lost. Its environment returns to the queue (return-to-queue.ts) with the
 * time that it has left, if its policy says so. Otherwise it ends as `endRun` ends it.
 */
export function endInterrupted(environment: Environment, now: number, reason: string): Step<Environment> {
  const { policy, starts } = environment;
  if (policy.onInterruption !== "requeue") return endRun(environment, now, reason);
  if (!hasReturnsLeft(environment)) return endRun(environment, now, `${reason} (interrupted ${starts + 1} times)`);
  if (!mayReturn(environment, now)) return endRun(environment, now, `${reason} (less than 5 minutes before its end)`);
  return changed(enter(environment, "stopping", now, reason), now, "stopping");
}

/** Reports whether the policy returns the environment to the queue, and it has not returned too often. */
export function hasReturnsLeft({ policy, starts }: Pick<Environment, "policy" | "starts">): boolean {
  return policy.onInterruption === "requeue" && starts < MOST_RETURNS;
}

/** Reports whether an environment returns to the queue if its run is interrupted now. */
export function mayReturn(environment: Environment, now: number): boolean {
  return hasReturnsLeft(environment) && leftMs(environment, now) >= LEAST_LEFT_MS;
}

/** Returns how much of its time an environment had left at `stoppedAt`, ms. */
export function leftMs({ times: { endsAt }, size }: Environment, stoppedAt: number): number {
  return endsAt === null ? size.wantedMs : endsAt - stoppedAt;
}

/** Reports whether a stopping environment returns to the queue. */
export function isReturningToQueue({ phase, policy, end: { outcome } }: Environment): boolean {
  return phase === "stopping" && outcome === null && !policy.restarts;
}

/**
 * Returns when to end a run whose machine is taken back at a known time, so that its command gets SIGTERM and its disk
 * is detached before. Returns Infinity if the run stays until its machine goes.
 */
export function leavesAt(environment: Environment, settings: Pick<Settings, "graceSeconds">, now: number): number {
  const { interruption } = environment.run;
  // A Spot taint has no time, and EC2 takes the machine back within two minutes.
  const takenBackAt = interruption?.kind === "spot" ? (interruption.endsAt ?? now) : interruption?.endsAt;
  if (takenBackAt === undefined || !mayReturn(environment, now)) return Number.POSITIVE_INFINITY;
  return takenBackAt - getGraceSeconds(environment, settings) * 1000 - LEAVING_MS;
}
