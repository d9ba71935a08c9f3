import type { Blobs } from "#core/ports/blobs.ts";
import type { Compute, Removal } from "#core/ports/compute.ts";
import { type ApiRefused, isAnother, isNotFound } from "../client/api-error.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import { getMachine, type RunId, readShares } from "../names.ts";
import { readNodes } from "../nodes/read-nodes.ts";
import { holds, type Job, type Node, type Pod } from "../objects.ts";
import { removeArchives } from "../volumes/archive-parts.ts";
import { detachFromLost } from "../volumes/attachments.ts";
import { keepListing } from "../volumes/disk-file-list.ts";
import { removeEbsMounts } from "../volumes/ebs-mounts.ts";
import type { RecentRuns } from "../watch/recent-runs.ts";
import { boundNodes, listNodeNames, type RunObjects } from "./bound-nodes.ts";
import { type ClusterContext, isLiving, readRun } from "./read-run.ts";
import { isBound, keepUnbound } from "./remove-unbound.ts";
import { GRACE_SECONDS } from "./run-job.ts";
import { listPartPaths, mayHaveEbs } from "./run-parts.ts";
import { leaveTombstones } from "./tombstone.ts";

interface Removing {
  readonly stateOf: Compute["getMachineState"];
  readonly recent: RecentRuns;
  /** Where the list of a disk's files is left; undefined: nowhere. */
  readonly blobs: Blobs | undefined;
}

/**
 * Deletes a run's Jobs, with which its pods go, and what it has beside them. The first Job is made last and goes last:
 * the others without it are what nobody has finished making. Pods are asked themselves where they are to go
 * sooner than a Job's go, and where their Job is gone already.
 */
export async function removeRun(
  place: ClusterContext,
  id: RunId,
  { graceSeconds, force, unlessBound, leftovers, tombstones }: Removal,
  { stateOf, recent, blobs }: Removing,
): Promise<boolean> {
  const { client, paths } = place;
  // Each object is named by its uid: one that came meanwhile stays, and is seen by the next look.
  const knownRunObjects = force ? undefined : recent.find(id);
  recent.forget(id);
  const objects = unlessBound ? await keepUnbound(place, id) : (knownRunObjects ?? (await readRun(place, id)));
  const {
    jobs: [first, ...others],
    pods,
  } = objects;
  if (blobs && !unlessBound && !force) await keepListing(place, blobs, id, findFirst(objects));
  await Promise.all(others.map((job) => job && removeJob(place, job)));
  if (first) await removeJob(place, first);
  recent.markRemoved(id);
  // Its Job may have made one since, which was bound before the Job was gone.
  if (unlessBound && pods.every(isBound)) await keepUnbound(place, id);
  const hasTombstones =
    tombstones !== undefined &&
    (await leaveTombstones(place, id, {
      machines: tombstones,
      image: first?.spec?.template?.spec?.containers?.[0]?.image,
    })) &&
    !mayGetPod(objects);
  const refused: ApiRefused[] = [];
  await Promise.all(
    listPartPaths(id, objects, paths).map(async (path) =>
      unlessForbidden(place, `DELETE ${path}`, client.remove(path, { uid: undefined }), undefined, refused),
    ),
  );
  await removeArchives(place, id);
  const volumes = mayHaveEbs(objects) ? await removeEbsMounts(place, id, refused) : [];
  const held = force ? await heldPods(objects, await readNodes(client, listNodeNames(objects)), stateOf) : [];
  const deletions = pods.flatMap((pod) => {
    const seconds = force ? forcedSeconds(pod, held) : Math.max(1, graceSeconds);
    return goesInTime(pod, seconds, objects.jobs[getMachine(pod)] !== undefined) ? [] : [{ pod, seconds }];
  });
  await Promise.all(
    deletions.map(({ pod: { metadata }, seconds }) =>
      client.remove(`${paths.pods}/${metadata.name}`, { uid: metadata.uid, graceSeconds: seconds }),
    ),
  );
  await Promise.all(pods.filter((pod) => isForgotten(pod, objects.jobs)).map((pod) => removeTracking(place, pod)));
  // While a pod is there the cluster would attach them again.
  if (force && volumes.length > 0) await detachFromLost(place, volumes, listNodeNames({ jobs: [], pods: held }));
  if (leftovers && refused[0]) throw refused[0];
  return hasTombstones;
}

/**
 * Reports whether a Job has no pod yet. Its controller may have read the Job before it was deleted, and create the pod
 * after a look that sees nothing.
 */
function mayGetPod({ jobs, pods }: RunObjects): boolean {
  return jobs.some((job, machine) => job && isLiving(job) && !pods.some((pod) => getMachine(pod) === machine));
}

/** The newest pod of the first machine, which has the disk. */
function findFirst({ pods }: RunObjects): Pod | undefined {
  const ownPods = pods.filter((pod) => getMachine(pod) === 0);
  return ownPods.toSorted((a, b) => a.metadata.creationTimestamp.localeCompare(b.metadata.creationTimestamp)).at(-1);
}

async function removeJob({ client, paths }: ClusterContext, { metadata: { name, uid } }: Job): Promise<void> {
  await client.remove(`${paths.jobs}/${name}`, { uid });
}

/**
 * With 0 the object goes although its command may still run: only from a machine that is lost. A kubelet that answers
 * ends it within a second.
 */
function forcedSeconds(pod: Pod, held: readonly Pod[]): number {
  return held.includes(pod) ? 1 : 0;
}

/**
 * The pods that are not taken from their machine at once: those of nodes that answer, and of a run of several machines
 * those whose machine runs, as its provider says. One lost machine ends the run, and another may be out of reach for a
 * moment and still at work (docs/architecture/failures.md#missing-runs).
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
 * Reports whether nothing but the Job controller keeps a pod that has ended, though its Job is gone. The controller tries
 * once to remove its finalizer from the pods of a deleted Job. If the API server is away in that moment, the pod stays for
 * ever, and the run would keep its GPUs (kubernetes/kubernetes#141329).
 */
function isForgotten({ metadata }: Pod, jobs: RunObjects["jobs"]): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds, finalizers, ownerReferences } = metadata;
  if (deletionTimestamp === undefined || deletionGracePeriodSeconds !== 0) return false;
  const hasJob = jobs.some((job) => ownerReferences?.some(({ uid }) => uid === job?.metadata.uid));
  return !hasJob && (finalizers?.includes(trackingFinalizer) ?? false);
}

/** Other finalizers stay: they are of whoever set them. */
async function removeTracking({ client, paths }: ClusterContext, { metadata }: Pod): Promise<void> {
  const { name, uid, resourceVersion } = metadata;
  const finalizers = metadata.finalizers?.filter((finalizer) => finalizer !== trackingFinalizer);
  try {
    await client.patch(`${paths.pods}/${name}`, { metadata: { uid, resourceVersion, finalizers } });
  } catch (error) {
    // The controller was sooner, or somebody else has changed the pod: the next look reads it again.
    if (!isNotFound(error) && !isAnother(error)) throw error;
  }
}

function goesInTime({ metadata }: Pod, seconds: number, hadJob: boolean): boolean {
  if (metadata.deletionTimestamp !== undefined) return (metadata.deletionGracePeriodSeconds ?? 0) <= seconds;
  return hadJob && seconds >= GRACE_SECONDS;
}
