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

/** The output of runs as they print it, which requests read without waiting for a copy. */
export interface LiveLogs {
  /** Set if the output is on other machines. Positions then continue after a restart only from a recent copy. */
  readonly isRemote?: true;
  /**
   * Reads the newest MiB from a position on. Returns undefined if the output is not available here. `known` is the end
   * of the last copy, which helps a remote log find the start of this output.
   */
  read(uid: string, run: number, from: number, known?: LogEnd): Promise<LogPart | undefined>;
  /** Resolves when there is output after the position, after `ms`, or when the signal aborts. */
  waitFor(uid: string, run: number, position: number, ms: number, signal?: AbortSignal): Promise<void>;
}
