import { liveStatuses } from "../jobs/find-job.ts";
import { jobWord } from "../jobs/job-words.ts";
import { connect } from "../login/connect.ts";
import { collect } from "../terminal/collect.ts";

/** A shell waits for proposals, so a deployment that is slow or away proposes nothing. */
const mostMs = 1500;

/** Returns the names and ids of live jobs that begin with the typed text. */
export async function jobNames(partial: string): Promise<string[]> {
  try {
    const signal = AbortSignal.timeout(mostMs);
    const jobs = await collect((await connect({ mayLogIn: false })).jobs.list({ status: liveStatuses, signal }));
    return jobs.map(jobWord).filter((word) => word.startsWith(partial));
  } catch {
    return [];
  }
}
