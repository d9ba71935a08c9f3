import type { RunRef } from "#core/ports/compute.ts";
import { everyRunSelector, type RunId } from "../names.ts";
import type { KubeObject, Metadata } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { archiveLabel, findArchiveOwner, isArchiveRun } from "./archive-job.ts";

export async function listArchives(place: ClusterContext): Promise<RunRef[]> {
  return (await listJobs(place)).map(({ ref }) => ref);
}

export async function removeArchives(place: ClusterContext, id: RunId): Promise<void> {
  if (!isArchiveRun(id)) return;
  const { client, paths } = place;
  const jobs = await listJobs(place, id.uid);
  await Promise.all(jobs.map(({ job: { name, uid } }) => client.remove(`${paths.jobs}/${name}`, { uid })));
}

async function listJobs(
  { client, paths, deployment }: ClusterContext,
  uid?: string,
): Promise<readonly { readonly ref: RunRef; readonly job: Metadata }[]> {
  const selector = `${everyRunSelector(deployment, uid)}${encodeURIComponent(`,${archiveLabel}`)}`;
  const keep = (job: KubeObject) => {
    const ref = findArchiveOwner(job, deployment);
    return ref ? [{ ref, job: job.metadata }] : [];
  };
  return (await client.list(`${paths.jobs}?${selector}`, keep, { part: "metadata" })).items;
}
