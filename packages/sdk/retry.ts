import { BerthError } from "./errors.ts";

const mostRetries = 4;
const mostMs = 30_000;
const repeatable: readonly number[] = [429, 502, 503, 504];

/**
 * Returns how long to wait before the next attempt, in milliseconds, or undefined if the error is final. The server's
 * `Retry-After` wins. Otherwise the delay doubles from 250 ms, with jitter.
 */
export function retryDelay(error: Error, attempt: number, spentMs: number): number | undefined {
  if (!(error instanceof BerthError) || attempt >= mostRetries) return undefined;
  if (error.code !== "unreachable" && !repeatable.includes(error.status)) return undefined;
  const delayMs = sentDelay(error.retryAfter) ?? 250 * 2 ** attempt * (0.5 + Math.random());
  return spentMs + delayMs > mostMs ? undefined : delayMs;
}

/** RFC 9110 section 10.2.3: seconds or a date. */
function sentDelay(retryAfter: string | undefined): number | undefined {
  if (retryAfter === undefined) return undefined;
  const seconds = Number(retryAfter);
  const delayMs = Number.isNaN(seconds) ? Date.parse(retryAfter) - Date.now() : seconds * 1000;
  return Number.isNaN(delayMs) ? undefined : Math.max(0, delayMs);
}

/** Waits, or rejects with the signal's reason as soon as it aborts. */
export function sleep(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = () => {
      signal?.removeEventListener("abort", abort);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    if (signal?.aborted) return abort();
    signal?.addEventListener("abort", abort, { once: true });
  });
}

/** Returns a signal that aborts with the first of these signals, or undefined without signals. */
export function mergeSignals(...signals: (AbortSignal | undefined)[]): AbortSignal | undefined {
  const abortSignals = signals.filter((signal) => signal !== undefined);
  return abortSignals.length > 1 ? AbortSignal.any(abortSignals) : abortSignals[0];
}
