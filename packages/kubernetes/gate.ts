import type { RunObjects } from "./bound-nodes.ts";
import { machineOf, sharesOf } from "./names.ts";
import type { Pod } from "./objects.ts";
import type { Place } from "./read-run.ts";
import { MAIN } from "./run-job.ts";
import { askPod } from "./supervised-exec.ts";
import { askSupervisor, isGated } from "./tools.ts";

const openedWithinMs = 5_000;

/**
 * Lets the command of a run of several machines begin once all of its containers run: a part of it that began before
 * would wait for machines that may never come. Those that are asked twice begin once; whoever could not be asked is at
 * the next look.
 */
export async function openGate(place: Place, { jobs, pods }: RunObjects): Promise<void> {
  const [job] = jobs;
  const running = pods.filter((pod) => isRunning(pod) && pod.metadata.deletionTimestamp === undefined);
  const machines = new Set(running.map(machineOf));
  if (!job || machines.size < sharesOf(job).length) return;
  const closed = running.filter((pod) => isGated(pod) && !hasBegun(pod));
  const asked = { words: askSupervisor("open"), timeoutMs: openedWithinMs };
  await Promise.allSettled(closed.map((pod) => askPod(place, pod, asked)));
}

/** Its startup probe says so: what serves ports has begun a while before. */
export function hasBegun(pod: Pod): boolean {
  return pod.status?.containerStatuses?.find(({ name }) => name === MAIN)?.started === true;
}

function isRunning(pod: Pod): boolean {
  return pod.status?.containerStatuses?.find(({ name }) => name === MAIN)?.state?.running !== undefined;
}
