import { utcText } from "#core/text/utc.ts";
import { describeMessage } from "../client/describe-message.ts";
import { findCondition, type Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { MAIN } from "../runs/run-job.ts";
import { parseTime } from "./end-reason.ts";
import { eventListing, type KubeEvent } from "./events.ts";
import { toMachineStatus } from "./machine-status.ts";

/** Time in which a container starts whose image its node has. */
const youngMs = 5_000;

interface Pull {
  readonly uid: string;
  readonly container: string;
  readonly at: number;
}

/**
 * Returns which image a run waits for and since when, or null. Only events say that a node pulls an image: the kubelet
 * reports no progress, and the status of the pod stays as it was before. The words do not change during a pull.
 */
export function runningPulls(
  place: ClusterContext,
  now: () => number,
): (pods: readonly Pod[]) => Promise<string | null> {
  const list = eventListing(place, now, { selector: "reason=Pulling", keptMs: 10_000, keep: listPulls });
  return async (pods) => {
    const waiting = pods.filter((pod) => mayPull(pod, now()));
    if (waiting.length === 0) return null;
    const pulls = await list();
    return waiting.map((pod) => describePull(pod, pulls)).find((words) => words !== null) ?? null;
  };
}

function listPulls({ involvedObject: { uid, fieldPath }, lastTimestamp }: KubeEvent): Pull[] {
  const at = parseTime(lastTimestamp);
  return uid === undefined || fieldPath === undefined || at === null ? [] : [{ uid, container: fieldPath, at }];
}

function mayPull(pod: Pod, now: number): boolean {
  const { state, reason, deleted } = toMachineStatus(pod);
  if (pod.status?.phase !== "Pending" || deleted || reason !== null) return false;
  const boundAt = findCondition(pod, "PodScheduled")?.lastTransitionTime ?? pod.metadata.creationTimestamp;
  return (state === "image" || state === "container") && now - (parseTime(boundAt) ?? 0) >= youngMs;
}

/** A node pulls the image of a container when it is about to start it, so a pull is over once that has started. */
function describePull({ metadata, spec, status }: Pod, pulls: readonly Pull[]): string | null {
  const hasStarted = (name: string) => {
    const { state } = status?.initContainerStatuses?.find((container) => container.name === name) ?? {};
    return (state?.running ?? state?.terminated) !== undefined;
  };
  const tools = spec.initContainers?.find(({ name }) => !hasStarted(name));
  const container = tools ? `spec.initContainers{${tools.name}}` : `spec.containers{${MAIN}}`;
  const pull = pulls.findLast((each) => each.uid === metadata.uid && each.container === container);
  if (!pull) return null;
  if (tools) return `Pulling the image of TOOLS_IMAGE since ${utcText(pull.at)}`;
  const image = spec.containers?.find(({ name }) => name === MAIN)?.image ?? "";
  return `Pulling its image since ${utcText(pull.at)}: ${describeMessage(image, image)}`;
}
