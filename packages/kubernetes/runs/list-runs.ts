import type { RunRef } from "#core/ports/compute.ts";
import { everyRunOf, runOf } from "../names.ts";
import type { KubeObject } from "../objects.ts";
import type { Place } from "./read-run.ts";

/** Lists the runs of all Jobs, and of pods whose Job is gone. */
export async function listRuns({ client, paths, deployment }: Place, uid?: string): Promise<RunRef[]> {
  const everyRun = everyRunOf(deployment, uid);
  const [jobs, pods] = await Promise.all([
    client.list(`${paths.jobs}?${everyRun}`, (job: KubeObject) => refsOf(job, "Job"), { part: "metadata" }),
    client.list(`${paths.pods}?${everyRun}`, (pod: KubeObject) => refsOf(pod, "Pod"), { part: "metadata" }),
  ]);
  // A Job keeps what it was made with: its word on a run is the last.
  const all = [...pods.items, ...jobs.items];
  return [...new Map(all.map((ref) => [`${ref.uid} ${ref.run}`, ref])).values()];
}

function refsOf(object: KubeObject, kind: "Job" | "Pod"): RunRef[] {
  const ref = runOf(object, kind);
  return ref ? [ref] : [];
}
