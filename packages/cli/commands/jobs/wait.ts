import type { Job } from "../../../sdk/jobs.ts";
import { exitCodes, QuietExit } from "../../failure.ts";
import { findJob } from "../../jobs/find-job.ts";
import { watchJob } from "../../jobs/watch-job.ts";
import { connect } from "../../login/connect.ts";
import { interruptSignal, out } from "../../terminal/terminal.ts";
import { describeJob } from "./show.ts";

interface WaitFlags {
  readonly until: "active" | "ended";
  readonly timeout?: number;
  readonly json: boolean;
}

/** Waits until a job is active or ended. Fails if it ended otherwise than by success. */
export async function wait({ until, timeout, json }: WaitFlags, word?: string): Promise<void> {
  const job = await watch(word, { until, json, timeoutMs: timeout === undefined ? undefined : timeout * 1000 });
  if (["failed", "cancelled", "expired"].includes(job.status)) throw new QuietExit(exitCodes.failed);
}

/** Shows the live view of a job until it is active. */
export async function attach({ json }: { readonly json: boolean }, word?: string): Promise<void> {
  const job = await watch(word, { until: "active", json, timeoutMs: undefined });
  if (!json) out(describeJob(job));
  if (job.status === "failed") throw new QuietExit(exitCodes.failed);
}

interface WatchWishes {
  readonly until: "active" | "ended";
  readonly json: boolean;
  readonly timeoutMs: number | undefined;
}

async function watch(word: string | undefined, wishes: WatchWishes): Promise<Job> {
  const signal = interruptSignal();
  const berth = await connect({ signal });
  const { job_id } = await findJob(berth, word);
  const job = await berth.jobs.get(job_id, { signal });
  return watchJob(berth, job, { ...wishes, signal });
}
