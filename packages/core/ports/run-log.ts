export interface LogPart {
  /** Position of the first byte in the whole output of the run. */
  readonly start: number;
  readonly bytes: Uint8Array;
}

export interface RunLog extends LogPart {
  /** Helps a compute that stores no positions find the end of this log in a later one. At most 200 characters. */
  readonly mark?: string | undefined;
}

export interface LogEnd {
  readonly position: number;
  readonly mark?: string | undefined;
}

/** The output of runs on this machine, which requests read without waiting for a copy. */
export interface LiveLogs {
  /** Reads the newest MiB from a position on. Returns undefined if this machine has no output of the run. */
  read(uid: string, run: number, from: number): Promise<LogPart | undefined>;
  /** Resolves when there is output after the position, after `ms`, or when the signal aborts. */
  waitFor(uid: string, run: number, position: number, ms: number, signal?: AbortSignal): Promise<void>;
}
