import { setTimeout as sleep } from "node:timers/promises";

/** Time to wait for a deleted object to disappear, ms. A tenth suffices unless something still uses the object. */
export const usuallyGoneMs = 2_000;

const pollEveryMs = 50;

/** Polls until `poll` finds something or `ms` pass. The last poll starts later, in case the machine was suspended. */
export async function pollUntil<Found>(ms: number, poll: () => Promise<Found | undefined>): Promise<Found | undefined> {
  const endsAt = performance.now() + ms;
  for (let isLast = false; ; isLast = performance.now() > endsAt) {
    const found = await poll();
    if (found !== undefined || isLast) return found;
    await sleep(pollEveryMs);
  }
}
