import type { RunRef } from "#core/ports/compute.ts";
import { everyRunSelector, findRun } from "../names.ts";
import type { KubeObject } from "../objects.ts";
import type { ClusterContext } from "./read-run.ts";

export async function listRuns({ client, paths, deployment }: ClusterContext, uid?: string): Promise<RunRef[]> {
  const everyRun = everyRunSelector(deployment, uid);
  const [jobs, pods] = await Promise.all([
    client.list(`${paths.jobs}?${everyRun}`, (job: KubeObject) => listRefs(job, "Job"), { part: "metadata" }),
    client.list(`${paths.pods}?${everyRun}`, (pod: KubeObject) => listRefs(pod, "Pod"), { part: "metadata" }),
  ]);
  // Jobs come last, so that their key wins: a Job keeps what it was created with.
  const all = [...pods.items, ...jobs.items];
  return [...new Map(all.map((ref) => [`${ref.uid} ${ref.run}`, ref])).values()];
}

function listRefs(object: KubeObject, kind: "Job" | "Pod"): RunRef[] {
  const ref = findRun(object, kind);
  return ref ? [ref] : [];
}
