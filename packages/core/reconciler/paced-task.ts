import type { Clock } from "../ports/clock.ts";

/** A task that runs soon after a request. Requests during a run or a rest share the next run. */
export interface PacedTask {
  request(): void;
  /** Waits for the run in progress. */
  settled(): Promise<void>;
}

/** A run rests three times its duration, so it takes at most a quarter of the time. Limits in ms. */
const REST = { times: 3, shortestMs: 1_000, longestMs: 30_000 } as const;

/**
 * Returns a task that runs at once after its rest, one run at a time. No run begins after the signal. `run` returns
 * whether it succeeded. After a failure the task rests as long as it ever does.
 */
export function pacedTask(
  { clock, signal }: { readonly clock: Clock; readonly signal: AbortSignal },
  run: () => Promise<boolean>,
): PacedTask {
  let isRequested = false;
  let isWorking = false;
  let working = Promise.resolve();
  let restsUntil = Number.NEGATIVE_INFINITY;
  const runOnce = async () => {
    isRequested = false;
    const startedAt = clock.monotonic();
    const succeeded = await run();
    const endedAt = clock.monotonic();
    const restMs = succeeded ? Math.max(REST.shortestMs, REST.times * (endedAt - startedAt)) : REST.longestMs;
    restsUntil = endedAt + Math.min(restMs, REST.longestMs);
  };
  const work = async () => {
    isWorking = true;
    while (isRequested && !signal.aborted) {
      const leftMs = restsUntil - clock.monotonic();
      await (leftMs > 0 ? clock.sleep(leftMs, signal) : runOnce());
    }
    isWorking = false;
  };
  return {
    request() {
      isRequested = true;
      if (!isWorking) working = work();
    },
    settled: () => working,
  };
}
