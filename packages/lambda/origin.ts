import { hash, timingSafeEqual } from "node:crypto";
import type { Clock } from "#core/ports/clock.ts";
import type { Log } from "#core/ports/log.ts";

const LINE_MS = 60_000;

/** Header with the secret that shows that a request came through the edge (docs/architecture/edge.md). */
export const ORIGIN_HEADER = "x-berth-origin";

/** Returns a constant-time check of that header. During a rotation there are two secrets, since edges update slowly. */
export function originCheck(secrets: readonly string[]): (header: string | undefined) => boolean {
  const digests = secrets.map(getDigest);
  return (header) => {
    const digest = getDigest(header ?? "");
    return digests.map((knownDigest) => timingSafeEqual(knownDigest, digest)).includes(true);
  };
}

function getDigest(text: string): Buffer {
  return hash("sha256", text, "buffer");
}

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
    // Compares the absolute distance, because the clock may be set back.
    if (Math.abs(now - loggedAt) < LINE_MS) return;
    log.warn("origin refused", { count });
    count = 0;
    loggedAt = now;
  };
}
