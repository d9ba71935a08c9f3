/** How an environment lives: chosen by its dialect when it is made, and never branched on by name. */
export interface Policy {
  /**
   * Its time: `run` counts `size.wantedMs` from the moment it is active, `creation` from the moment it was asked for;
   * `none`: it has no end of its own.
   */
  readonly time: "run" | "creation" | "none";
  /** It may be stopped and started again: what ends a run by itself leaves it `stopped` with a reason in `run.error`. */
  readonly restarts: boolean;
  /** Stopped when nobody used it; null: never. */
  readonly idle: IdlePolicy | null;
  /** A zip of this volume of its own is kept when it is deleted. */
  readonly archives: string | null;
  /** A run that is not active so long after it was asked for is given up, ms; null: the deployment's own limits. */
  readonly readyWithinMs: number | null;
  /** Whether one that was never active keeps its own volumes when its first run ends by itself. */
  readonly firstFailure: "keeps" | "clears";
  /** Its specification, secrets included, goes when it is stopped: a start brings a new one. */
  readonly forgetsSpec: boolean;
}

export interface IdlePolicy {
  /** Unused for longer than this: it is stopped. */
  readonly afterMs: number;
  /** How often that is looked at. */
  readonly everyMs: number;
}

/** A reservation: so many hours from the moment it is ready, and over for good. */
export const reservation: Policy = {
  time: "run",
  restarts: false,
  idle: null,
  archives: null,
  readyWithinMs: null,
  firstFailure: "keeps",
  forgetsSpec: false,
};
