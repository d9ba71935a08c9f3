import { isOutage } from "../../sdk/outage.ts";
import { ConnectionLost } from "./remote.ts";

const mostOutageMs = 10 * 60_000;
const firstDelayMs = 500;
const longestDelayMs = 10_000;

interface OutageOptions {
  readonly signal: AbortSignal;
  /** Called at the beginning of every outage. */
  readonly onLost: (error: Error) => void;
  /** Returns the error to throw after 10 minutes without a connection. */
  readonly tooLong: () => Error;
  /** Returns the milliseconds of a monotonic clock. */
  readonly now?: () => number;
}

/** Repeats an attempt until it succeeds. The attempt calls `connected` when the job answers, which ends the outage. */
export async function throughOutages<Value>(
  attempt: (connected: () => void) => Promise<Value>,
  { signal, onLost, tooLong, now = () => performance.now() }: OutageOptions,
): Promise<Value> {
  let lostAt: number | undefined;
  let delayMs = firstDelayMs;
  const connected = () => {
    lostAt = undefined;
    delayMs = firstDelayMs;
  };
  for (;;) {
    try {
      return await attempt(connected);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!(error instanceof ConnectionLost || isOutage(error))) throw error;
      if (lostAt === undefined) onLost(error);
      lostAt ??= now();
      if (now() - lostAt > mostOutageMs) throw tooLong();
    }
    await pause(delayMs, signal);
    delayMs = Math.min(delayMs * 2, longestDelayMs);
  }
}

function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(done, ms);
    function done() {
      clearTimeout(timer);
      signal.removeEventListener("abort", done);
      resolve();
    }
    signal.addEventListener("abort", done);
  });
}
