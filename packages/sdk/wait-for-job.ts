import { type BerthError, errorFor } from "./errors.ts";
import { isEnded } from "./job-state.ts";
import type { Job, Jobs } from "./jobs.ts";
import { firstDelayMs, isOutage, longestDelayMs, longestOutageMs } from "./outage.ts";
import { sleep } from "./retry.ts";
import type { CallOptions } from "./transport.ts";

export interface WaitOptions extends CallOptions {
  readonly until: "active" | "ended";
  /** Called with the first state, and whenever status, reason, position or warning changed. */
  readonly onChange?: ((job: Job) => void) | undefined;
  /**
   * Called when the server does not answer or asks for a pause. The wait continues for 10 minutes after the last answer.
   */
  readonly onOutage?: ((error: BerthError) => void) | undefined;
  readonly timeoutMs?: number | undefined;
}

/**
 * Polls after 1 s at first. The delay doubles up to 15 s, and is 1 s again after each change. `pause` takes the place
 * of the clock when requests are counted.
 */
export async function waitForJob(
  jobs: Pick<Jobs, "getIfChanged">,
  id: string,
  options: WaitOptions,
  pause = sleep,
): Promise<Job> {
  const { until, onChange, signal, timeoutMs = Number.POSITIVE_INFINITY } = options;
  const deadline = performance.now() + timeoutMs;
  const read = jobReader(jobs, id, options);
  let shown = "";
  for (let delayMs = firstDelayMs; ; delayMs = Math.min(delayMs * 2, longestDelayMs)) {
    const job = await read();
    if (job && shown !== shownState(job)) {
      shown = shownState(job);
      delayMs = firstDelayMs;
      onChange?.(job);
    }
    if (job && (isEnded(job.status) || (until === "active" && job.status === "active"))) return job;
    const leftMs = deadline - performance.now();
    if (leftMs <= 0)
      throw errorFor(`Job ${id} was not ${until} within ${timeoutMs / 1000} s`, { status: 0, code: "timeout" });
    await pause(Math.min(leftMs, delayMs * (0.9 + Math.random() / 5)), signal);
  }
}

/** Returns a function that reads the job, from memory after a 304, and undefined while the server is away. */
function jobReader(
  jobs: Pick<Jobs, "getIfChanged">,
  id: string,
  { signal, onOutage }: WaitOptions,
): () => Promise<Job | undefined> {
  let job: Job | undefined;
  let etag: string | undefined;
  let answeredAt = performance.now();
  return async () => {
    try {
      const answer = await jobs.getIfChanged(id, etag, { signal });
      etag = answer.headers.get("etag") ?? undefined;
      answeredAt = performance.now();
      if (answer.status !== 304) job = answer.data;
      return job;
    } catch (error) {
      if (!isOutage(error) || performance.now() - answeredAt > longestOutageMs) throw error;
      onOutage?.(error);
      return undefined;
    }
  };
}

function shownState({ status, status_reason, queue_position, warning }: Job): string {
  return JSON.stringify([status, status_reason, queue_position, warning]);
}
