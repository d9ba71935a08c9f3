import { setTimeout as sleep } from "node:timers/promises";

/** What somebody removed is gone within a tenth of this, ms, unless something still has it. */
export const usuallyGoneMs = 2_000;

const pollEveryMs = 50;

/**
 * Looks again and again until there is something, or so many milliseconds are over: undefined then. The last look begins
 * after that time, so that a machine that stood still meanwhile does not give up on what is there by now.
 */
export async function pollUntil<Found>(ms: number, poll: () => Promise<Found | undefined>): Promise<Found | undefined> {
  const endsAt = performance.now() + ms;
  for (let isLast = false; ; isLast = performance.now() > endsAt) {
    const found = await poll();
    if (found !== undefined || isLast) return found;
    await sleep(pollEveryMs);
  }
}
