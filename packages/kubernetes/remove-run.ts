import { nodeNamesOf } from "./bound-nodes.ts";
import { nameOfRun, type RunId } from "./names.ts";
import { holds, type Job, type Node, type Pod } from "./objects.ts";
import { readNodes } from "./read-nodes.ts";
import { jobPath, type Place, readRun } from "./read-run.ts";
import { GRACE_SECONDS } from "./run-job.ts";

export interface Removal {
  readonly graceSeconds: number;
  /** The machine of some pod is lost. */
  readonly force: boolean;
}

/**
 * Deletes a run's Job, with which its pods go, and its Secret. Pods are asked themselves where they are to go
 * sooner than a Job's go, and where their Job is gone already.
 */
export async function removeRun(place: Place, id: RunId, { graceSeconds, force }: Removal): Promise<void> {
  const { client, paths } = place;
  const objects = await readRun(place, id);
  const { job, pods } = objects;
  if (job) await client.remove(jobPath(paths, id), { uid: job.metadata.uid });
  // Whoever applied it may have been interrupted before its Job, or removed it and was interrupted after that.
  if (!job || hasSecret(job)) await client.remove(`${paths.secrets}/${nameOfRun(id)}`, { uid: undefined });
  const nodes = force ? await readNodes(client, nodeNamesOf(objects)) : [];
  const asked = pods.flatMap((pod) => {
    const seconds = force ? forcedSeconds(pod, nodes) : Math.max(1, graceSeconds);
    return goesInTime(pod, seconds, job !== undefined) ? [] : [{ pod, seconds }];
  });
  await Promise.all(
    asked.map(({ pod: { metadata }, seconds }) =>
      client.remove(`${paths.pods}/${metadata.name}`, { uid: metadata.uid, graceSeconds: seconds }),
    ),
  );
}

function hasSecret({ spec }: Job): boolean {
  return (spec?.template?.spec?.containers ?? []).some(({ envFrom = [] }) => envFrom.length > 0);
}

/**
 * With 0 the object goes although its command may still run: only from a node that does not answer, whose machine the
 * core knows to be lost (docs/architecture.md#not-seen-is-not-gone). A kubelet that answers ends it within a second.
 */
function forcedSeconds({ spec }: Pod, nodes: readonly Node[]): number {
  const node = nodes.find(({ metadata }) => metadata.name === spec.nodeName);
  return node && holds(node, "Ready") ? 1 : 0;
}

function goesInTime({ metadata }: Pod, seconds: number, hadJob: boolean): boolean {
  if (metadata.deletionTimestamp !== undefined) return (metadata.deletionGracePeriodSeconds ?? 0) <= seconds;
  return hadJob && seconds >= GRACE_SECONDS;
}
