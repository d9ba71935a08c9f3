import type { Clock } from "#core/ports/clock.ts";
import type { Log } from "#core/ports/log.ts";

/** A process writes at most one line in this time. */
const LINE_MS = 60_000;

/**
 * Returns a function that counts a request which lacks the edge's secret. The first one is logged at once. Later ones are
 * added up and logged with the first request after a minute, so a flood writes one line a minute for each process: its
 * logs cost the attacked stage nothing worth mentioning. A line holds nothing of the request, whose sender may put
 * anything there.
 *
 * The minute is measured by the time of day, because Lambda stops the monotonic clock of a process between two requests.
 */
export function refusedOrigins(log: Log, clock: Pick<Clock, "now">): () => void {
  let count = 0;
  let loggedAt = Number.NEGATIVE_INFINITY;
  return () => {
    count += 1;
    const now = clock.now();
    // The distance, because the time of day may be set back.
    if (Math.abs(now - loggedAt) < LINE_MS) return;
    log.warn("origin refused", { count });
    count = 0;
    loggedAt = now;
  };
}
