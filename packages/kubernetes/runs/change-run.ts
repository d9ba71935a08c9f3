import type { Blobs } from "#core/ports/blobs.ts";
import type { Resources } from "#core/ports/compute.ts";
import { isAnother, isNotFound } from "../client/api-error.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import { annotation, getMachine, type RunId } from "../names.ts";
import { quantities, withoutCpu } from "../nodes/machine-share.ts";
import type { Pod } from "../objects.ts";
import { parseTime } from "../status/end-reason.ts";
import { isTerminated, toMachineStatus } from "../status/machine-status.ts";
import { keepListing } from "../volumes/disk-file-list.ts";
import type { RecentRuns } from "../watch/run-caches.ts";
import { numberIn, patchAsRead } from "./patch-job.ts";
import { type ClusterContext, isLiving, readRun } from "./read-run.ts";
import { MAIN, secondsUntil } from "./run-job.ts";

/** Extends the deadline of living Jobs. Patches only the version that was read, so a late call undoes no newer one. */
export async function extendRun(place: ClusterContext, id: RunId, until: number, now: number): Promise<void> {
  const { jobs } = await readRun(place, id);
  const living = jobs.flatMap((job) => (job && isLiving(job) ? [job] : []));
  await Promise.all(
    living.map(async (job) => {
      const activeDeadlineSeconds = secondsUntil(until, parseTime(job.status?.startTime) ?? now);
      if (activeDeadlineSeconds <= (job.spec?.activeDeadlineSeconds ?? 0)) return;
      await patchAsRead(place, job, { spec: { activeDeadlineSeconds } });
    }),
  );
}

/** Resizes pods in place. The Job keeps its template, and records the revision before the pods change. */
export async function resizeRun(
  place: ClusterContext,
  id: RunId,
  resources: Resources,
  revision: number,
): Promise<void> {
  const {
    jobs: [job],
    pods,
  } = await readRun(place, id);
  const earlierRevision = job ? numberIn(job, annotation.resized) : 0;
  if (earlierRevision > revision) return;
  if (job && earlierRevision < revision) {
    await patchAsRead(place, job, { metadata: { annotations: { [annotation.resized]: String(revision) } } });
  }
  const amounts = quantities(resources);
  const living = pods.filter(({ status }) => status?.phase === "Running");
  await Promise.all(
    living.map((pod) => {
      const { name, uid, resourceVersion } = pod.metadata;
      const limits = hasCpuLimit(pod) ? amounts : withoutCpu(amounts);
      const spec = { containers: [{ name: MAIN, resources: { limits, requests: amounts } }] };
      // A late patch must not undo a higher revision, so it applies only to the version that was read.
      const body = { metadata: { uid, resourceVersion }, spec };
      return place.client.patch(`${place.paths.pods}/${name}/resize`, body, "strategic-merge");
    }),
  );
}

/** Reads the pod, because the setting may have changed. A resize must not change a pod's QoS class. */
function hasCpuLimit({ spec }: Pod): boolean {
  const main = spec.containers?.find(({ name }) => name === MAIN);
  return main?.resources?.limits?.cpu !== undefined;
}

/**
 * Ends a run's commands and keeps its pods for their logs. A pod past its `activeDeadlineSeconds` gets SIGTERM, then
 * SIGKILL, and stays as `Failed` (Kubernetes API, PodSpec v1). Signals sent by exec would not work: a shell that is
 * process 1 ignores them (pid_namespaces(7)). Returns false if the cluster forbids the patch.
 */
export async function terminateRun(place: ClusterContext, id: RunId, { recent, blobs }: Terminating): Promise<boolean> {
  const { pods } = recent.find(id) ?? (await readRun(place, id));
  recent.forget(id);
  const running = pods.filter(isRunning);
  const first = running.find((pod) => getMachine(pod) === 0);
  if (blobs) await keepListing(place, blobs, id, first);
  const answers = await Promise.all(running.map((pod) => terminatePod(place, pod)));
  return answers.every(Boolean);
}

interface Terminating {
  readonly recent: RecentRuns;
  readonly blobs: Blobs | undefined;
}

function isRunning(pod: Pod): boolean {
  const { started, end, deleted } = toMachineStatus(pod);
  return started && end === undefined && !deleted && !isTerminated(pod);
}

async function terminatePod(place: ClusterContext, { metadata: { name, uid } }: Pod): Promise<boolean> {
  const { client, paths } = place;
  const patch = client.patch(`${paths.pods}/${name}`, { metadata: { uid }, spec: { activeDeadlineSeconds: 1 } });
  const deletion = patch.then(
    () => true,
    (error: unknown) => {
      if (isNotFound(error) || isAnother(error)) return true;
      throw error;
    },
  );
  return unlessForbidden(place, `PATCH ${paths.pods}`, deletion, false);
}
