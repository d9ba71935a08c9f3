import { collect } from "../collect.ts";
import { connect } from "../connect.ts";
import { liveStatuses } from "../find-job.ts";
import { jobWord } from "../job-words.ts";

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
