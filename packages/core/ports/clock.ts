export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Milliseconds since some fixed moment; never jumps. */
  monotonic(): number;
  /** Resolves after this many ms, or sooner where the signal comes. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}
