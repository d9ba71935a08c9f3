import type { Log } from "#core/ports/log.ts";
import { RunGone } from "#core/problem.ts";
import type { ApiClient } from "../client/api-client.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import { formatJobName, getMachine, type RunId, readShares } from "../names.ts";
import { holds, type Job, type Pod } from "../objects.ts";
import type { Paths } from "../paths.ts";
import { isCommandRunning } from "../status/machine-status.ts";
import type { KnownPods } from "../watch/run-caches.ts";
import { type SharedLists, sharedLists } from "../watch/shared-lists.ts";
import { type RunObjects, wasBound } from "./bound-nodes.ts";
import { isTombstone } from "./tombstone.ts";

export interface ClusterContext {
  readonly client: ApiClient;
  readonly paths: Paths;
  /** Name of this control plane, since several may share a cluster. */
  readonly deployment: string;
  /** Log for refusals that do not fail the call; undefined logs nothing. */
  readonly log?: Pick<Log, "warn"> | undefined;
  /** Lists shared by concurrent reads; if undefined, each read makes its own. */
  readonly lists?: SharedLists | undefined;
  /** Pod names that a watch has shown; if undefined, pods are listed. */
  readonly known?: KnownPods | undefined;
}

export function getSharedLists({ client, paths, lists }: ClusterContext): SharedLists {
  return lists ?? sharedLists(client, paths);
}

/**
 * Reads the objects of a run. Pods come last: a run is gone only if no pod was left after its Job was gone. A list
 * waits 100 ms until the API server's cache is current (Kubernetes, API concepts, "Consistent reads from cache"); a
 * read by name does not.
 */
export async function readRun(place: ClusterContext, id: RunId): Promise<RunObjects> {
  const job = await findJob(place, id);
  return job ? readMachines(place, id, job) : readByLists(place, id);
}

/** Reads the objects for an observation, in fewer calls. Do not use it before actions that no other pod may survive. */
export async function readRunBriefly(place: ClusterContext, id: RunId, isProbablyGone: boolean): Promise<RunObjects> {
  const job = isProbablyGone ? undefined : await findJob(place, id);
  if (!job) return readByLists(place, id);
  const pod = await findOnlyPod(place, id, job);
  return pod ? { jobs: [job], pods: [pod] } : readMachines(place, id, job);
}

async function readByLists(place: ClusterContext, id: RunId): Promise<RunObjects> {
  const jobs = await listJobs(place, id);
  return { jobs, pods: await listPods(place, id) };
}

async function readMachines(place: ClusterContext, id: RunId, job: Job): Promise<RunObjects> {
  const others = readShares(job).slice(1);
  const [pods, ...otherJobs] = await Promise.all([
    listPods(place, id),
    ...others.map((_, at) => findJob(place, id, at + 1)),
  ]);
  return { jobs: await readVerdicts(place, id, [job, ...otherJobs], pods), pods };
}

/** Returns the pod if it must be the only one: a Job creates no other while this one is not being deleted. */
async function findOnlyPod(place: ClusterContext, id: RunId, job: Job): Promise<Pod | undefined> {
  const { client, paths, known } = place;
  const name = known?.findOnlyPod(id);
  if (name === undefined || readShares(job).length > 1) return undefined;
  const reading = client.find<Pod>(`${paths.pods}/${name}`);
  const pod = await unlessForbidden(place, `GET ${paths.pods}`, reading, undefined);
  const isOfJob = pod?.metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) ?? false;
  return pod && isOfJob && isLeftAlone(pod) ? pod : undefined;
}

/** Reports whether the cluster has not ended the pod. Otherwise its node may change how the run ended. */
export function isLeftAlone({ metadata, status }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  if (status?.phase === "Succeeded" || status?.phase === "Failed") return status.reason === undefined;
  return status?.phase === "Pending" || status?.phase === "Running";
}

/** Reads a Job again if its pod went in between, because the Job says why. */
async function readVerdicts(
  place: ClusterContext,
  id: RunId,
  jobs: RunObjects["jobs"],
  pods: readonly Pod[],
): Promise<RunObjects["jobs"]> {
  const hasLostPod = (job: Job, machine: number) =>
    isLiving(job) && wasBound(jobs[0], machine) && !pods.some((pod) => getMachine(pod) === machine);
  return Promise.all(jobs.map((job, machine) => (job && hasLostPod(job, machine) ? findJob(place, id, machine) : job)));
}

/** Returns the Job of one machine, by default the first, which is created last. A tombstone does not count. */
export async function findJob({ client, paths }: ClusterContext, id: RunId, machine = 0): Promise<Job | undefined> {
  const job = await client.find<Job>(`${paths.jobs}/${formatJobName(id, machine)}`);
  return job && isTombstone(job) ? undefined : job;
}

/** Missing Jobs are undefined. */
async function listJobs(place: ClusterContext, id: RunId): Promise<(Job | undefined)[]> {
  const items = await getSharedLists(place).jobs(id);
  const most = Math.max(0, ...items.map((job) => getMachine(job) + 1));
  return Array.from({ length: most }, (_, machine) => items.find((job) => getMachine(job) === machine));
}

export async function listPods(place: ClusterContext, id: RunId): Promise<readonly Pod[]> {
  return getSharedLists(place).pods(id);
}

/** Returns the first machine's pod while its command runs. Throws `RunGone` otherwise. */
export async function getLivingPod(place: ClusterContext, id: RunId): Promise<Pod> {
  const pod = await findLivingPod(place, id);
  if (!pod) throw new RunGone();
  return pod;
}

export async function findLivingPod(place: ClusterContext, id: RunId): Promise<Pod | undefined> {
  const {
    jobs: [job],
    pods,
  } = await readRun(place, id);
  const isFirst = (pod: Pod) => getMachine(pod) === 0 && pod.metadata.deletionTimestamp === undefined;
  return job && isLiving(job) ? pods.find((pod) => isFirst(pod) && isCommandRunning(pod)) : undefined;
}

/** Reports whether a Job still runs. The API server accepts changes of an ended Job without effect. */
export function isLiving(job: Job): boolean {
  const isOver = ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"].some((type) => holds(job, type));
  return !isOver && job.metadata.deletionTimestamp === undefined;
}
