import { RunGone } from "#core/problem.ts";
import type { ApiClient } from "./api-client.ts";
import { sightOf } from "./machine-sight.ts";
import { indexOf, nameOfRun, ownerOf, type Paths, type RunId, selectorOf } from "./names.ts";
import { holds, type Job, type KubeObject, type Pod } from "./objects.ts";
import type { RunObjects } from "./observation.ts";

/** How a cluster is spoken with, and where on it the runs are. */
export interface Place {
  readonly client: ApiClient;
  readonly paths: Paths;
}

/** What is there of a run, by a name and a selector that the API server answers from its store and no cache. */
export async function readRun({ client, paths }: Place, id: RunId): Promise<RunObjects> {
  const list = () => client.list<Pod, Pod>(`${paths.pods}?${selectorOf(id)}`, (pod) => (isOf(pod, id) ? [pod] : []));
  const [job, listed] = await Promise.all([client.find<Job>(jobPath(paths, id)), list()]);
  // A pod may have been made between the two answers: nothing is there only if that was so after its Job was gone.
  const pods = job || listed.items.length > 0 ? listed.items : (await list()).items;
  return { job, pods };
}

export async function findJob({ client, paths }: Place, id: RunId): Promise<Job | undefined> {
  return client.find<Job>(jobPath(paths, id));
}

export function jobPath(paths: Paths, id: RunId): string {
  return `${paths.jobs}/${nameOfRun(id)}`;
}

/** The pod of the first machine whose command runs. Throws `RunGone` where there is none, or the run is being removed. */
export async function livingPod(place: Place, id: RunId): Promise<Pod> {
  const { job, pods } = await readRun(place, id);
  const pod = pods.find(
    (one) => indexOf(one) === 0 && one.metadata.deletionTimestamp === undefined && sightOf(one).started,
  );
  if (!job || !isLiving(job) || !pod || sightOf(pod).end) throw new RunGone();
  return pod;
}

/** Whether a Job still runs: a change of one that has ended is accepted and does nothing. */
export function isLiving(job: Job): boolean {
  const isOver = ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"].some((type) => holds(job, type));
  return !isOver && job.metadata.deletionTimestamp === undefined;
}

interface KubeEvent extends KubeObject {
  readonly message?: string;
  readonly lastTimestamp?: string | null;
}

/** Why the cluster makes no pod for a Job (a quota, an admission webhook), which only an event says; null: it does not. */
export async function podRefusal({ client, paths }: Place, { metadata }: Job): Promise<string | null> {
  const fields = encodeURIComponent(`involvedObject.uid=${metadata.uid},reason=FailedCreate`);
  const path = `${paths.events}?fieldSelector=${fields}`;
  const { items } = await client.list<KubeEvent, KubeEvent>(path, (event) => [event]);
  const newest = items.toSorted((a, b) => (a.lastTimestamp ?? "").localeCompare(b.lastTimestamp ?? "")).at(-1);
  return newest?.message ?? null;
}

/** By the name of its Job, whatever its labels say. */
function isOf(pod: Pod, id: RunId): boolean {
  return ownerOf(pod.metadata)?.name === nameOfRun(id);
}
