import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "#core/context.ts";

/** The clock of this host. */
export function systemClock(): Clock {
  return { now: () => Date.now(), monotonic: () => performance.now(), sleep: (ms) => sleep(ms) };
}
