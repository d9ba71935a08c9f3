import type { Blobs } from "#core/ports/blobs.ts";
import type { Compute, Removal } from "#core/ports/compute.ts";
import { RunBound } from "#core/problem.ts";
import { type ApiRefused, isAnother, isNotFound } from "../client/api-error.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import { getMachine, type RunId, readShares } from "../names.ts";
import { readNodes } from "../nodes/read-nodes.ts";
import { holds, type Job, type Node, type Pod } from "../objects.ts";
import { toMachineStatus } from "../status/machine-status.ts";
import { noEvents, toObservation } from "../status/observation.ts";
import { removeArchives } from "../volumes/archive-job.ts";
import { detachFromLost } from "../volumes/attachments.ts";
import { keepListing } from "../volumes/disk-file-list.ts";
import { removeEbsMounts } from "../volumes/ebs-mounts.ts";
import type { RecentRuns } from "../watch/run-caches.ts";
import { boundNodes, findNewestPod, listNodeNames, type RunObjects } from "./bound-nodes.ts";
import { type ClusterContext, isLiving, readRun } from "./read-run.ts";
import { GRACE_SECONDS } from "./run-job.ts";
import { listPartPaths, mayHaveEbs } from "./run-parts.ts";
import { keepEndedJobs, leaveTombstones } from "./tombstone.ts";

interface Removing {
  readonly getMachineState: Compute["getMachineState"];
  readonly recent: RecentRuns;
  readonly blobs: Blobs | undefined;
  readonly now: number;
}

/**
 * Deletes a run's Jobs with their pods, and its other objects. The first Job goes last: Jobs without it are an
 * unfinished run. Pods are deleted directly if their Job is gone or they must end sooner.
 */
export async function removeRun(
  place: ClusterContext,
  id: RunId,
  { graceSeconds, force, unlessBound, leftovers, tombstones }: Removal,
  { getMachineState, recent, blobs, now }: Removing,
): Promise<boolean> {
  const { client, paths } = place;
  // Deletions name uids, so an object that was created since stays for the next reconcile.
  const recentObjects = force ? undefined : recent.find(id);
  recent.forget(id);
  const objects = unlessBound ? await keepUnbound(place, id) : (recentObjects ?? (await readRun(place, id)));
  const {
    jobs: [first, ...others],
    pods,
  } = objects;
  if (blobs && !unlessBound && !force) await keepListing(place, blobs, id, findNewestPod(pods, 0));
  const isKept =
    tombstones !== undefined && !force && (await keepEndedJobs(place, objects, { machines: tombstones, now }));
  if (!isKept) {
    await Promise.all(others.map((job) => job && removeJob(place, job)));
    if (first) await removeJob(place, first);
  }
  recent.markRemoved(id);
  // A Job may have created a pod since, and the pod may have been bound before the Job was gone.
  if (unlessBound && pods.every(isBound)) await keepUnbound(place, id);
  const hasTombstones =
    isKept ||
    (tombstones !== undefined &&
      (await leaveTombstones(place, id, {
        machines: tombstones,
        image: first?.spec?.template?.spec?.containers?.[0]?.image,
      })) &&
      !mayGetPod(objects));
  const refused: ApiRefused[] = [];
  await Promise.all(
    listPartPaths(id, objects, paths, { isJobKept: isKept }).map(async (path) =>
      unlessForbidden(place, `DELETE ${path}`, client.remove(path, { uid: undefined }), undefined, refused),
    ),
  );
  await removeArchives(place, id);
  const volumes = mayHaveEbs(objects) ? await removeEbsMounts(place, id, refused) : [];
  const held = force ? await heldPods(objects, await readNodes(client, listNodeNames(objects)), getMachineState) : [];
  const deletions = pods.flatMap((pod) => {
    const seconds = force ? forcedSeconds(pod, held) : Math.max(1, graceSeconds);
    return goesInTime(pod, seconds, !isKept && objects.jobs[getMachine(pod)] !== undefined) ? [] : [{ pod, seconds }];
  });
  await Promise.all(
    deletions.map(({ pod: { metadata }, seconds }) =>
      client.remove(`${paths.pods}/${metadata.name}`, { uid: metadata.uid, graceSeconds: seconds }),
    ),
  );
  await Promise.all(pods.filter((pod) => isForgotten(pod, objects.jobs, now)).map((pod) => removeTracking(place, pod)));
  // While a pod exists, the cluster would attach the volumes again.
  if (force && volumes.length > 0) await detachFromLost(place, volumes, listNodeNames({ jobs: [], pods: held }));
  if (leftovers && refused[0]) throw refused[0];
  return hasTombstones;
}

/** Reports whether a Job has no pod yet. Its controller may still create one after the deletion. */
function mayGetPod({ jobs, pods }: RunObjects): boolean {
  return jobs.some((job, machine) => job && isLiving(job) && !pods.some((pod) => getMachine(pod) === machine));
}

async function removeJob({ client, paths }: ClusterContext, { metadata: { name, uid } }: Job): Promise<void> {
  await client.remove(`${paths.jobs}/${name}`, { uid });
}

/** Returns the grace period of a forced deletion: 0 only on a lost machine, since the command may still run there. */
function forcedSeconds(pod: Pod, held: readonly Pod[]): number {
  return held.includes(pod) ? 1 : 0;
}

/**
 * Returns the pods whose machine may still work: its node answers or, in a multi-machine run, the cloud provider says
 * that it runs (docs/architecture/failures.md#missing-runs).
 */
async function heldPods(
  objects: RunObjects,
  nodes: readonly Node[],
  getState: Compute["getMachineState"],
): Promise<Pod[]> {
  const bound = boundNodes(objects, nodes);
  const held = await Promise.all(
    objects.pods.map(async (pod) => {
      const node = nodes.find(({ metadata }) => metadata.name === pod.spec.nodeName);
      if (node && holds(node, "Ready")) return true;
      const machine = readShares(pod).length > 1 ? bound.find(({ index }) => index === getMachine(pod)) : undefined;
      return machine !== undefined && (await getState(machine)) === "running";
    }),
  );
  return objects.pods.filter((_, at) => held[at]);
}

const trackingFinalizer = "batch.kubernetes.io/job-tracking";
/**
 * Time for the Job controller to learn that the Job is gone. If the pod goes first, the controller replaces it, and the
 * command runs again until the garbage collector comes. After an outage, a controller reconnects its two watches up to
 * 30 seconds apart (k8s.io/client-go/tools/cache, Reflector).
 */
const LEFT_TO_CONTROLLER_MS = 60_000;

/**
 * Reports whether only the Job controller's finalizer has kept an ended pod without a Job for a minute. The controller
 * removes it once; if the API server is down then, the pod keeps its GPUs forever (kubernetes/kubernetes#141329).
 */
function isForgotten({ metadata, status }: Pod, jobs: RunObjects["jobs"], now: number): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers, ownerReferences } = metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds !== 0) return false;
  const ends = (status?.containerStatuses ?? []).map(({ state }) => state?.terminated?.finishedAt ?? deletionTimestamp);
  const endedAt = Math.max(...[deletionTimestamp, ...ends].map((time) => Date.parse(time)));
  const hasJob = jobs.some((job) => ownerReferences?.some(({ uid }) => uid === job?.metadata.uid));
  return !hasJob && (finalizers?.includes(trackingFinalizer) ?? false) && now - endedAt > LEFT_TO_CONTROLLER_MS;
}

/** Removes the Job controller's finalizer. Other finalizers stay, since they belong to other controllers. */
async function removeTracking({ client, paths }: ClusterContext, { metadata }: Pod): Promise<void> {
  const { name, uid, resourceVersion } = metadata;
  const finalizers = metadata.finalizers?.filter((finalizer) => finalizer !== trackingFinalizer);
  try {
    await client.patch(`${paths.pods}/${name}`, { metadata: { uid, resourceVersion, finalizers } });
  } catch (error) {
    // The controller was faster, or the pod has changed. The next reconcile reads it again.
    if (!isNotFound(error) && !isAnother(error)) throw error;
  }
}

/** Compares with the pod's own grace period, because the setting may have changed since its creation. */
function goesInTime({ metadata, spec }: Pod, seconds: number, hadJob: boolean): boolean {
  if (metadata.deletionTimestamp !== undefined) return (metadata.deletionGracePeriodSeconds ?? 0) <= seconds;
  return hadJob && seconds >= (spec.terminationGracePeriodSeconds ?? GRACE_SECONDS);
}

/**
 * Prevents an unbound run from being bound. A pod is deleted only in the version that was read, and the API server
 * binds no pod that is being deleted, so the first wins. Throws `RunBound` if all machines are bound.
 */
async function keepUnbound(place: ClusterContext, id: RunId): Promise<RunObjects> {
  for (;;) {
    const objects = await readRun(place, id);
    if (!isUnbound(objects)) throw new RunBound();
    const [deciding, ...others] = objects.pods.filter(
      (pod) => !isBound(pod) && pod.metadata.deletionTimestamp === undefined,
    );
    // A run without this pod is never complete, so the other machines go even if they were bound by now.
    if (!deciding || (await removeAsRead(place, deciding))) {
      await Promise.all(others.map((pod) => removeAsRead(place, pod)));
      return objects;
    }
  }
}

function isBound({ spec }: Pod): boolean {
  return spec.nodeName !== undefined;
}

/** Reports whether the run is unbound. A draft has no observation, so none of its pods may be bound. */
function isUnbound(objects: RunObjects): boolean {
  const seen = toObservation(objects, { now: 0, nodes: [], ...noEvents });
  if (seen) return seen.state === "unbound";
  return objects.pods.every((pod) => toMachineStatus(pod).state === "unbound");
}

/** Returns false if the pod has changed since. */
async function removeAsRead({ client, paths }: ClusterContext, { metadata }: Pod): Promise<boolean> {
  const { name, uid, resourceVersion } = metadata;
  try {
    await client.remove(`${paths.pods}/${name}`, { uid, resourceVersion });
    return true;
  } catch (error) {
    if (isAnother(error)) return false;
    throw error;
  }
}
