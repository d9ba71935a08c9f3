import { setTimeout as sleep } from "node:timers/promises";
import type { Clock } from "#core/ports/clock.ts";

export function systemClock(): Clock {
  return { now: () => Date.now(), monotonic: () => performance.now(), sleep: sleepUntil };
}

function sleepUntil(ms: number, signal?: AbortSignal): Promise<void> {
  if (!signal) return sleep(ms);
  return sleep(ms, undefined, { signal }).catch(() => undefined);
}
