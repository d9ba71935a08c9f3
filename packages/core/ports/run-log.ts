/** A part of what a command printed. */
export interface LogPart {
  /** Position of the first byte in the whole output of the run. */
  readonly start: number;
  readonly bytes: Uint8Array;
}

/** The newest MiB of a run's output, at the time of the call. */
export interface RunLog extends LogPart {
  /** Lets a compute that stores no positions find the end of this log in a later one. At most 200 characters. */
  readonly mark?: string | undefined;
}

/** The end of a log that was read before. */
export interface LogEnd {
  readonly position: number;
  readonly mark?: string | undefined;
}

/** The output of runs of this machine, which requests read without waiting for a copy. */
export interface LiveLogs {
  /** Reads the newest MiB from a position on. Returns undefined where this machine has no output of such a run. */
  read(uid: string, run: number, from: number): Promise<LogPart | undefined>;
  /** Resolves when something stands behind a position, when `ms` are over, or when the signal aborts. */
  waitFor(uid: string, run: number, position: number, ms: number, signal?: AbortSignal): Promise<void>;
}
