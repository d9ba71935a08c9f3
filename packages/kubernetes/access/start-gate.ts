import { askPod } from "../exec/supervised-exec.ts";
import { getMachine, readShares } from "../names.ts";
import type { ContainerStatus, Pod } from "../objects.ts";
import type { RunObjects } from "../runs/bound-nodes.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { MAIN } from "../runs/run-job.ts";
import { askSupervisor, isGated } from "./tools.ts";

const openedWithinMs = 5_000;

/** Starts the waiting command in each pod of the run. Repeated calls start it once. */
export async function openGate(place: ClusterContext, objects: RunObjects): Promise<void> {
  const command = { words: askSupervisor("open"), timeoutMs: openedWithinMs };
  // The next reconcile retries pods that did not answer.
  await Promise.allSettled(gatedPods(objects).map((pod) => askPod(place, pod, command)));
}

/** Returns the pods that wait at the gate, once all machines of the run are up: some machines may never come. */
export function gatedPods({ jobs: [job], pods }: RunObjects): Pod[] {
  if (!job || job.metadata.deletionTimestamp !== undefined) return [];
  const running = pods.filter((pod) => isRunning(pod) && pod.metadata.deletionTimestamp === undefined);
  // Ended machines have passed the gate.
  const there = [...running, ...pods.filter(isOver)];
  const isWhole = new Set(there.map(getMachine)).size >= readShares(job).length;
  return isWhole ? running.filter((pod) => isGated(pod) && !hasBegun(pod)) : [];
}

/** Reports whether the startup probe has passed. A command that serves ports starts some time before that. */
export function hasBegun(pod: Pod): boolean {
  return findMainStatus(pod)?.started === true;
}

/** Reports whether the main container runs, even if its command still waits at the gate. */
export function isRunning(pod: Pod): boolean {
  return findMainStatus(pod)?.state?.running !== undefined;
}

function isOver(pod: Pod): boolean {
  return findMainStatus(pod)?.state?.terminated !== undefined;
}

export function findMainStatus({ status }: Pod): ContainerStatus | undefined {
  return status?.containerStatuses?.find(({ name }) => name === MAIN);
}
