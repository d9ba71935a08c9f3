import type { Clock } from "#core/ports/clock.ts";
import type { Compute } from "#core/ports/compute.ts";
import type { LiveLogs } from "#core/ports/run-log.ts";

const POLL_MS = 50;

/** Output of the runs of a memory compute, as an embedded stack reads it. */
export function memoryLiveLogs(compute: Compute, clock: Clock): LiveLogs {
  return {
    read: async (uid, run, from) => {
      const { start, bytes } = await compute.readLog(uid, run);
      const skipped = Math.min(Math.max(0, from - start), bytes.length);
      return { start: start + skipped, bytes: bytes.subarray(skipped) };
    },
    waitFor: async (uid, run, position, ms, signal) => {
      const until = clock.monotonic() + ms;
      while (!signal?.aborted && clock.monotonic() < until) {
        const { start, bytes } = await compute.readLog(uid, run);
        if (start + bytes.length > position) return;
        await clock.sleep(POLL_MS, signal);
      }
    },
  };
}
