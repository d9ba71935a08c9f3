import type { Settings } from "../../settings.ts";
import type { Environment } from "./record.ts";

/** The lifecycle rules, chosen by the dialect. Code never branches on the dialect's name. */
export interface Policy {
  /** Start of its time: `run` counts `size.wantedMs` from active, `creation` from the request, `none` has no limit. */
  readonly time: "run" | "creation" | "none";
  /** Whether a run that ends by itself leaves it `stopped`, with the reason in `run.error`, and startable. */
  readonly restarts: boolean;
  readonly idle: IdlePolicy | null;
  /** Name of the volume whose zip is kept after a deletion; null: none. */
  readonly archives: string | null;
  /** A run that is not active this long after its request is given up, ms; null: limits of the deployment. */
  readonly readyWithinMs: number | null;
  readonly firstFailure: "keeps" | "clears";
  /** Whether a stop removes the specification with its secrets, so that a start brings a new one. */
  readonly forgetsSpec: boolean;
  /** What happens when its machine is taken back or lost (steps/end/return-to-queue.ts). Absent: the environment ends. */
  readonly onInterruption?: "requeue" | undefined;
  /** The least time that it accepts, ms, to start on machines that close before its wanted time. Absent: all of it. */
  readonly leastMs?: number | undefined;
  /** Time from SIGTERM to SIGKILL of its command, seconds. Absent: that of the deployment. */
  readonly ownGraceSeconds?: number | undefined;
}

export function getGraceSeconds(
  { policy }: Pick<Environment, "policy">,
  settings: Pick<Settings, "graceSeconds">,
): number {
  return policy.ownGraceSeconds ?? settings.graceSeconds;
}

export interface IdlePolicy {
  readonly afterMs: number;
  readonly everyMs: number;
}

export const reservation: Policy = {
  time: "run",
  restarts: false,
  idle: null,
  archives: null,
  readyWithinMs: null,
  firstFailure: "keeps",
  forgetsSpec: false,
};

/** Reports whether the first run failed before it was ever active and the policy keeps nothing of it. */
export function discardsFirstFailure({
  policy,
  run: { error: broken },
  starts,
  times: { firstActiveAt },
}: Environment): boolean {
  return policy.firstFailure === "clears" && broken !== null && starts === 0 && firstActiveAt === null;
}
