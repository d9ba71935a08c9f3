export interface Clock {
  /** Returns milliseconds since the epoch. */
  now(): number;
  /** Returns milliseconds since a fixed time. Never jumps. */
  monotonic(): number;
  /** Resolves after this many ms, or earlier if the signal aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
