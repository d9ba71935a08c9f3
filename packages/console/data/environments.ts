import type { UseQueryResult } from "@tanstack/react-query";
import type { EnvironmentSummary } from "../../sdk/berth.ts";
import type { JobStatus, JobSummary } from "../../sdk/jobs.ts";
import { berth, collect } from "./client.ts";
import { useLive } from "./live.ts";

const livingStatus: readonly JobStatus[] = ["queued", "preparing", "active"];

/** Reads the jobs that run or wait. */
export function useLivingJobs(): UseQueryResult<JobSummary[], Error> {
  return useLive(["jobs", "living"], (signal) =>
    collect(berth.jobs.list({ status: livingStatus, pageSize: 500, signal })),
  );
}

export interface OtherEnvironments {
  readonly living: readonly EnvironmentSummary[];
  readonly ended: readonly EnvironmentSummary[];
  /** Whether there may be older ones, which were not read. */
  readonly isCut: boolean;
}

/** How many of the newest environments are searched for those of other APIs. */
export const searchedEnvironments = 500;

/** Reads the environments of the other APIs, which the console does not change. A user without any is read seldom. */
export function useOtherEnvironments(): UseQueryResult<OtherEnvironments, Error> {
  return useLive(
    ["environments"],
    async (signal) => {
      const pages = berth.environments({ pageSize: searchedEnvironments, signal });
      const newest = await collect(pages, searchedEnvironments);
      const others = newest.filter(({ api }) => api !== "gpu-dev");
      return {
        living: others.filter(({ phase }) => !isEnded(phase)),
        ended: others.filter(({ phase }) => isEnded(phase)),
        isCut: newest.length === searchedEnvironments,
      };
    },
    { isQuiet: ({ living }) => living.length === 0 },
  );
}

function isEnded(phase: EnvironmentSummary["phase"]): boolean {
  return ["completed", "expired", "cancelled", "failed", "deleted"].includes(phase);
}
