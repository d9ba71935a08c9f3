import { askPod } from "../exec/supervised-exec.ts";
import { getMachine, readShares } from "../names.ts";
import type { Pod } from "../objects.ts";
import type { RunObjects } from "../runs/bound-nodes.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { MAIN } from "../runs/run-job.ts";
import { askSupervisor, isGated } from "./tools.ts";

const openedWithinMs = 5_000;

/** Lets the command of a run begin that waits for it. Pods that are asked twice begin once. */
export async function openGate(place: ClusterContext, objects: RunObjects): Promise<void> {
  const command = { words: askSupervisor("open"), timeoutMs: openedWithinMs };
  // A pod that could not be asked waits for the next look.
  await Promise.allSettled(gatedPods(objects).map((pod) => askPod(place, pod, command)));
}

/**
 * The pods of a run of several machines that wait to begin, once all of its containers run: a part of it that began
 * before would wait for machines that may never come.
 */
export function gatedPods({ jobs: [job], pods }: RunObjects): Pod[] {
  if (!job || job.metadata.deletionTimestamp !== undefined) return [];
  const running = pods.filter((pod) => isRunning(pod) && pod.metadata.deletionTimestamp === undefined);
  // A machine whose command is over already began as part of the whole run.
  const there = [...running, ...pods.filter(isOver)];
  const isWhole = new Set(there.map(getMachine)).size >= readShares(job).length;
  return isWhole ? running.filter((pod) => isGated(pod) && !hasBegun(pod)) : [];
}

/** Its startup probe says so: what serves ports has begun a while before. */
export function hasBegun(pod: Pod): boolean {
  return pod.status?.containerStatuses?.find(({ name }) => name === MAIN)?.started === true;
}

/** Whether its container runs, its command begun or not. */
export function isRunning(pod: Pod): boolean {
  return mainState(pod)?.running !== undefined;
}

function isOver(pod: Pod): boolean {
  return mainState(pod)?.terminated !== undefined;
}

function mainState(pod: Pod) {
  return pod.status?.containerStatuses?.find(({ name }) => name === MAIN)?.state;
}
