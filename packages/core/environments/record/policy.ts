/**
 * The lifecycle rules of an environment. The dialect chooses them at creation; code never branches on the dialect's
 * name.
 */
export interface Policy {
  /** Start of its time: `run` counts `size.wantedMs` from active, `creation` from the request, `none` has no limit. */
  readonly time: "run" | "creation" | "none";
  /**
   * Whether it can be stopped and started. A run that ends by itself then leaves it `stopped`, with the reason in
   * `run.error`.
   */
  readonly restarts: boolean;
  /** Rule for stopping an unused environment; null: never. */
  readonly idle: IdlePolicy | null;
  /** Name of the volume whose zip is kept after a deletion; null: none. */
  readonly archives: string | null;
  /** A run that is not active this long after its request is given up, ms; null: limits of the deployment. */
  readonly readyWithinMs: number | null;
  /** Whether its volumes are kept or removed if its first run ends by itself before it was active. */
  readonly firstFailure: "keeps" | "clears";
  /** Whether a stop removes the specification with its secrets, so that a start brings a new one. */
  readonly forgetsSpec: boolean;
}

export interface IdlePolicy {
  /** Idle time after which the environment is stopped. */
  readonly afterMs: number;
  /** Interval of the check. */
  readonly everyMs: number;
}

/** A reservation lasts for a number of hours from active and cannot be restarted. */
export const reservation: Policy = {
  time: "run",
  restarts: false,
  idle: null,
  archives: null,
  readyWithinMs: null,
  firstFailure: "keeps",
  forgetsSpec: false,
};
