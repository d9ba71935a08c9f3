import { describeMessage } from "../client/describe-message.ts";
import { findCondition, type Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { parseTime } from "./end-reason.ts";
import { eventListing, type KubeEvent } from "./events.ts";
import { ofVolumes } from "./observation.ts";

/** Pods that have a machine have most other events. */
const selector = ["Scheduled", "Pulling", "Pulled", "Created", "Started", "Killing"].reduce(
  (fields, reason) => `${fields},reason!=${reason}`,
  "involvedObject.kind=Pod",
);

interface ScaleUp {
  readonly uid: string;
  readonly at: number;
  readonly words: string;
}

/**
 * Returns what an autoscaler last said of the first pod that no machine has room for, or null. Only events of the pod
 * say it. For a pod whose volume keeps it from every machine, the scheduler's reason says more.
 */
export function scaleUps(place: ClusterContext, now: () => number): (pods: readonly Pod[]) => Promise<string | null> {
  const list = eventListing(place, now, { selector, keptMs: 10_000, keep: scaleUpsIn });
  return async (pods) => {
    const pod = pods.find(lacksMachine);
    if (!pod) return null;
    const said = (await list()).filter(({ uid }) => uid === pod.metadata.uid);
    return said.toSorted((a, b) => a.at - b.at).at(-1)?.words ?? null;
  };
}

function lacksMachine(pod: Pod): boolean {
  const { status, message = "" } = findCondition(pod, "PodScheduled") ?? {};
  const isLeft = pod.spec.nodeName === undefined && pod.metadata.deletionTimestamp === undefined;
  return isLeft && status === "False" && !ofVolumes.test(message);
}

function scaleUpsIn(event: KubeEvent): ScaleUp[] {
  const { involvedObject, reason, message = "", source, reportingComponent, lastTimestamp } = event;
  const { uid } = involvedObject;
  const words = describeScaleUp(reason, message, (reportingComponent || source?.component) ?? "");
  return uid === undefined || words === undefined ? [] : [{ uid, at: parseTime(lastTimestamp) ?? 0, words }];
}

/**
 * Returns the words for an event of the Cluster Autoscaler (processors/status/eventing_scale_up_processor.go) or of
 * Karpenter (pkg/controllers/provisioning/scheduling/events.go), which uses the scheduler's `FailedScheduling`.
 */
function describeScaleUp(reason: string | undefined, message: string, component: string): string | undefined {
  const isByKarpenter = component === "karpenter";
  if (reason === "NotTriggerScaleUp")
    return `The Cluster Autoscaler adds no machine: ${why(message, /^pod didn't trigger scale-up[^:]*: ?/)}`;
  if (reason === "TriggeredScaleUp") return "The Cluster Autoscaler is adding a machine";
  if (reason === "FailedScheduling" && isByKarpenter)
    return `Karpenter adds no machine: ${why(message, /^Failed to schedule pod,? ?/)}`;
  return reason === "Nominated" && message.includes("nodeclaim/") && isByKarpenter
    ? "Karpenter is adding a machine"
    : undefined;
}

/** Returns the causes in a fixed order: the Cluster Autoscaler lists them in another one each time. */
function why(message: string, beginning: RegExp): string {
  const causes = message.replace(beginning, "").split(/, (?=\d+ )/);
  return describeMessage(
    causes.toSorted((a, b) => (a.replace(/^\d+/, "") < b.replace(/^\d+/, "") ? -1 : 1)).join(", "),
  );
}
