import { HOUR_MS, MINUTE_MS, SECOND_MS } from "../units.ts";
import { type Delivery, type DeliveryAttempt, ended, withAttempt } from "./delivery.ts";

/** Delays between the end of an attempt and the next one (docs/apis/novita.md#webhooks): 8 attempts in all. */
const WAITS_MS = [SECOND_MS, 2 * SECOND_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS];
const LONGEST_RETRY_AFTER_MS = HOUR_MS;
/** A series is given up after this, even if the circuit allowed few or no attempts. */
export const SERIES_MS = 24 * HOUR_MS;

export interface Result {
  readonly status: number | null;
  readonly error: string | null;
  readonly retryAfterMs: number | null;
  /** Whether retrying is pointless, even if the schedule has attempts left. */
  readonly isFinal: boolean;
}

const WORTH_ANOTHER_TRY = [408, 429];

export function isFinalStatus(status: number): boolean {
  return status < 500 && !WORTH_ANOTHER_TRY.includes(status);
}

export function afterAttempt(delivery: Delivery, attempt: DeliveryAttempt, result: Result, now: number): Delivery {
  const tried = withAttempt(delivery, attempt);
  if (result.status !== null && result.status >= 200 && result.status < 300) return ended(tried, "delivered", now);
  const wait = WAITS_MS[tried.tries - 1];
  if (result.isFinal || wait === undefined) return ended(tried, "given_up", now);
  const retryAfterMs = Math.min(result.retryAfterMs ?? 0, LONGEST_RETRY_AFTER_MS);
  return { ...tried, dueAt: now + Math.max(wait, retryAfterMs) };
}
