import type { Blobs } from "#core/ports/blobs.ts";
import { isAnother, isNotFound } from "../client/api-error.ts";
import { unlessForbidden } from "../client/forbidden.ts";
import { getMachine, type RunId } from "../names.ts";
import type { Pod } from "../objects.ts";
import { isTerminated, toMachineStatus } from "../status/machine-status.ts";
import { keepListing } from "../volumes/disk-file-list.ts";
import type { RecentRuns } from "../watch/recent-runs.ts";
import { type ClusterContext, readRun } from "./read-run.ts";

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
