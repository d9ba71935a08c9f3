import type { Me } from "../../sdk/berth.ts";
import type { JobStatus, JobSummary } from "../../sdk/jobs.ts";
import { berth, collect } from "./client.ts";

const livingStatus: readonly JobStatus[] = ["queued", "preparing", "active"];

/** Reads the jobs that run or wait. */
export function readLivingJobs(signal?: AbortSignal): Promise<JobSummary[]> {
  return collect(berth.jobs.list({ status: livingStatus, pageSize: 500, signal }));
}

/** The reads that each page begins with, made while the browser still reads the other scripts. */
export const firstReads: { readonly me: Promise<Me>; readonly jobs?: Promise<JobSummary[]> } = {
  me: heard(berth.me()),
  ...(location.pathname === "/" && { jobs: heard(readLivingJobs()) }),
};

/** Keeps the browser from reporting the failure of a read that no query waits for yet. */
function heard<Data>(read: Promise<Data>): Promise<Data> {
  read.catch(() => undefined);
  return read;
}
