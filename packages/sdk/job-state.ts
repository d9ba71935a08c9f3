import type { JobStatus } from "./jobs.ts";

const ends: readonly JobStatus[] = ["completed", "expired", "cancelled", "failed"];

/** Reports whether a job in this status has ended. */
export function isEnded(status: JobStatus): boolean {
  return ends.includes(status);
}

/** Returns the path of a job, for whatever text a user gave as its id. */
export function jobPath(id: string): string {
  return `/v1/jobs/${encodeURIComponent(id)}`;
}
