import type { Log } from "#core/ports/log.ts";
import { RunGone } from "#core/problem.ts";
import type { ApiClient } from "../client/api-client.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import { formatJobName, getMachine, type RunId, readShares } from "../names.ts";
import { holds, type Job, type Pod } from "../objects.ts";
import type { Paths } from "../paths.ts";
import { toMachineStatus } from "../status/machine-status.ts";
import type { KnownPods } from "../watch/known-pods.ts";
import { type SharedLists, sharedLists } from "../watch/shared-lists.ts";
import { type RunObjects, wasBound } from "./bound-nodes.ts";
import { isTombstone } from "./tombstone.ts";

/** How a cluster is spoken with, and where on it the runs are. */
export interface ClusterContext {
  readonly client: ApiClient;
  readonly paths: Paths;
  /** The control plane whose runs these are: others may have theirs on the same cluster. */
  readonly deployment: string;
  /** Is told what the cluster does not let it do, where that is not the answer; undefined: nobody is. */
  readonly log?: Pick<Log, "warn"> | undefined;
  /** Whom its lists are shared with; undefined: each is made for one question. */
  readonly lists?: SharedLists | undefined;
  /** By which names a watch has shown pods; undefined: nobody follows them, and they are listed. */
  readonly known?: KnownPods | undefined;
}

/** Those that are shared, or that share nothing with any other question. */
export function getSharedLists({ client, paths, lists }: ClusterContext): SharedLists {
  return lists ?? sharedLists(client, paths);
}

/**
 * What is there of a run, by names and selectors that the API server answers as of now. Pods come last: nothing is there
 * only if no pod was after its Job was gone. A list waits 100 ms until the server's cache has what others wrote
 * meanwhile (Kubernetes, API concepts, "Consistent reads from cache"), a read by name does not.
 */
export async function readRun(place: ClusterContext, id: RunId): Promise<RunObjects> {
  const job = await findJob(place, id);
  return job ? readMachines(place, id, job) : readByLists(place, id);
}

/**
 * The same for an observation. Of a run that is probably gone the Job is not asked for by name: the lists say the same, and
 * are needed then. Of a run of one machine the pod that is known is read by its name. Not for what must never happen
 * while another pod is there.
 */
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

/**
 * The pod of a Job of one machine, where it is the only one that can be: while a pod is there that nobody deletes, its Job
 * makes no other one. undefined: nobody can tell without a list.
 */
async function findOnlyPod(place: ClusterContext, id: RunId, job: Job): Promise<Pod | undefined> {
  const { client, paths, known: knownValue } = place;
  const name = knownValue?.findOnlyPod(id);
  if (name === undefined || readShares(job).length > 1) return undefined;
  const reading = client.find<Pod>(`${paths.pods}/${name}`);
  const pod = await unlessForbidden(place, `GET ${paths.pods}`, reading, undefined);
  const isOfJob = pod?.metadata.ownerReferences?.some(({ uid }) => uid === job.metadata.uid) ?? false;
  return pod && isOfJob && isLeftAlone(pod) ? pod : undefined;
}

/** Whether the cluster itself has not ended the pod: then nothing that its node says changes how the run ended. */
export function isLeftAlone({ metadata, status }: Pod): boolean {
  if (metadata.deletionTimestamp !== undefined) return false;
  if (status?.phase === "Succeeded" || status?.phase === "Failed") return status.reason === undefined;
  return status?.phase === "Pending" || status?.phase === "Running";
}

/**
 * A Job is read before its pods. One whose pod went in between is read again, since it tells why: its time was over, or
 * somebody deleted the Job itself.
 */
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

/** Finds the Job of one machine; without it, of the first, which is made last. A tombstone is no Job of a run. */
export async function findJob({ client, paths }: ClusterContext, id: RunId, machine = 0): Promise<Job | undefined> {
  const job = await client.find<Job>(`${paths.jobs}/${formatJobName(id, machine)}`);
  return job && isTombstone(job) ? undefined : job;
}

/** By its machines; holes where there is none. */
async function listJobs(place: ClusterContext, id: RunId): Promise<(Job | undefined)[]> {
  const items = await getSharedLists(place).jobs(id);
  const most = Math.max(0, ...items.map((job) => getMachine(job) + 1));
  return Array.from({ length: most }, (_, machine) => items.find((job) => getMachine(job) === machine));
}

/** The pods that are there of a run. */
export async function listPods(place: ClusterContext, id: RunId): Promise<readonly Pod[]> {
  return getSharedLists(place).pods(id);
}

/** The pod of the first machine whose command runs. Throws `RunGone` where there is none, or the run is being removed. */
export async function livingPod(place: ClusterContext, id: RunId): Promise<Pod> {
  const {
    jobs: [job],
    pods,
  } = await readRun(place, id);
  const pod = pods.find(
    (pod) => getMachine(pod) === 0 && pod.metadata.deletionTimestamp === undefined && toMachineStatus(pod).started,
  );
  if (!job || !isLiving(job) || !pod || toMachineStatus(pod).end) throw new RunGone();
  return pod;
}

/** Whether a Job still runs: a change of one that has ended is accepted and does nothing. */
export function isLiving(job: Job): boolean {
  const isOver = ["Complete", "Failed", "FailureTarget", "SuccessCriteriaMet"].some((type) => holds(job, type));
  return !isOver && job.metadata.deletionTimestamp === undefined;
}
