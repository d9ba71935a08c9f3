import { type QueryClient, type UseQueryResult, useQueryClient } from "@tanstack/react-query";
import { useEffect, useRef } from "react";
import type { EnvironmentSummary } from "../../sdk/berth.ts";
import type { JobStatus, JobSummary } from "../../sdk/jobs.ts";
import { berth, collect } from "./client.ts";
import { firstReads, readLivingJobs } from "./first-reads.ts";
import { shareItems, useKept, useLive } from "./live.ts";

/** A job, or an environment that another API made and changes. */
export type Row = JobSummary | EnvironmentSummary;

const endedStatus: readonly JobStatus[] = ["completed", "failed", "cancelled", "expired"];
const otherApis: readonly EnvironmentSummary["api"][] = ["session-manager", "onmemos", "novita", "dev8"];

/** So many ended jobs are listed, and as many ended environments of other APIs. */
const endedCount = 100;

const shareJobs = shareItems<JobSummary>(rowKey);
const shareEnvironments = shareItems<EnvironmentSummary>(rowKey);

const livingKey = ["jobs", "living"];

/** Reads the jobs that run or wait. */
export function useLivingJobs(): UseQueryResult<JobSummary[], Error> {
  return useLive(livingKey, readLivingJobs, { share: shareJobs });
}

/** Hands the first read of the page to the query, so that the list need not wait for the name of the user. */
export function prefetchLivingJobs(client: QueryClient): void {
  const { jobs } = firstReads;
  if (jobs) void client.prefetchQuery({ queryKey: livingKey, queryFn: () => jobs });
}

/** Reads the environments of the other APIs, which the console does not change. A user without any is read seldom. */
export function useOtherEnvironments(): UseQueryResult<EnvironmentSummary[], Error> {
  return useLive(
    ["environments", "living"],
    (signal) => collect(berth.environments({ apis: otherApis, ended: false, pageSize: 500, signal })),
    { isQuiet: (rows) => rows.length === 0, share: shareEnvironments },
  );
}

const endedKey = ["environments", "ended"];

/** Reads the newest environments that have ended. */
export function useEnded(): UseQueryResult<Row[], Error> {
  return useLive(endedKey, async (signal) => {
    const others = berth.environments({ apis: otherApis, ended: true, pageSize: endedCount, signal });
    const jobs = berth.jobs.list({ status: endedStatus, pageSize: endedCount, signal });
    return newestFirst((await Promise.all([collect(jobs, endedCount), collect(others, endedCount)])).flat());
  });
}

/**
 * Returns the rows that have not ended. The two lists are read at different times, so an environment that is in the
 * list of ended ones has ended. One that leaves this list makes the other be read again.
 */
export function useLivingRows(jobs: readonly JobSummary[], others: readonly EnvironmentSummary[]): Row[] {
  const client = useQueryClient();
  const ended = new Set((useKept<Row[]>(endedKey) ?? []).map(rowKey));
  const rows = newestFirst([...jobs, ...others]).filter((row) => !ended.has(rowKey(row)));
  const before = useRef<ReadonlySet<string>>(new Set());
  useEffect(() => {
    const keys = new Set([...jobs, ...others].map(rowKey));
    const hasLeft = [...before.current].some((key) => !keys.has(key));
    before.current = keys;
    if (hasLeft) void client.refetchQueries({ queryKey: endedKey, type: "active" });
  }, [client, jobs, others]);
  return rows;
}

export function isJob(row: Row): row is JobSummary {
  return "job_id" in row;
}

export function rowKey(row: Row): string {
  return isJob(row) ? row.job_id : `${row.api} ${row.id}`;
}

function newestFirst(rows: readonly Row[]): Row[] {
  const dated = rows.map((row) => ({ row, at: Date.parse(row.created_at) }));
  return dated.sort((left, right) => right.at - left.at).map(({ row }) => row);
}
