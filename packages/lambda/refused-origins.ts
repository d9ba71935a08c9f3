import type { Clock } from "#core/ports/clock.ts";
import type { Log } from "#core/ports/log.ts";

const LINE_MS = 60_000;

/**
 * Returns a function that counts requests without the edge's secret. It logs the first at once and then a sum each
 * minute, so a flood stays cheap. The log has nothing of the request, which its sender controls. It uses the time of
 * day, because Lambda stops the monotonic clock between requests.
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
