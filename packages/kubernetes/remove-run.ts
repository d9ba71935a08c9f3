import type { Removal } from "#core/context.ts";
import { nodeNamesOf } from "./bound-nodes.ts";
import { machineOf, type RunId } from "./names.ts";
import { holds, type Job, type Node, type Pod } from "./objects.ts";
import { readNodes } from "./read-nodes.ts";
import { type Place, readRun } from "./read-run.ts";
import { isBound, keepUnbound } from "./remove-unbound.ts";
import { GRACE_SECONDS } from "./run-job.ts";
import { partPathsOf } from "./run-parts.ts";

/**
 * Deletes a run's Jobs, with which its pods go, and what it has beside them. The first Job is made last and goes last:
 * the others without it are what nobody has finished making. Pods are asked themselves where they are to go
 * sooner than a Job's go, and where their Job is gone already.
 */
export async function removeRun(place: Place, id: RunId, { graceSeconds, force, unlessBound }: Removal): Promise<void> {
  const { client, paths } = place;
  const objects = unlessBound ? await keepUnbound(place, id) : await readRun(place, id);
  const {
    jobs: [first, ...others],
    pods,
  } = objects;
  await Promise.all(others.map((job) => job && removeJob(place, job)));
  if (first) await removeJob(place, first);
  // Its Job may have made one since, which was bound before the Job was gone.
  if (unlessBound && pods.every(isBound)) await keepUnbound(place, id);
  await Promise.all(partPathsOf(id, first, paths).map((path) => client.remove(path, { uid: undefined })));
  const nodes = force ? await readNodes(client, nodeNamesOf(objects)) : [];
  const asked = pods.flatMap((pod) => {
    const seconds = force ? forcedSeconds(pod, nodes) : Math.max(1, graceSeconds);
    return goesInTime(pod, seconds, objects.jobs[machineOf(pod)] !== undefined) ? [] : [{ pod, seconds }];
  });
  await Promise.all(
    asked.map(({ pod: { metadata }, seconds }) =>
      client.remove(`${paths.pods}/${metadata.name}`, { uid: metadata.uid, graceSeconds: seconds }),
    ),
  );
}

async function removeJob({ client, paths }: Place, { metadata: { name, uid } }: Job): Promise<void> {
  await client.remove(`${paths.jobs}/${name}`, { uid });
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
