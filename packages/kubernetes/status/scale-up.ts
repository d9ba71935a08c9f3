import { describeMessage } from "../client/describe-message.ts";
import { findCondition, type Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { parseTime } from "./end-reason.ts";
import { eventListing, type KubeEvent } from "./events.ts";
import { ofVolumes } from "./observation.ts";

interface ScaleUp {
  readonly at: number;
  readonly words: string;
}

/**
 * Returns what an autoscaler last said of the first pod that no machine has room for, or null. Only events of the pod
 * say it. For a pod whose volume keeps it from every machine, the scheduler's reason says more.
 */
export function scaleUps(place: ClusterContext, now: () => number): (pods: readonly Pod[]) => Promise<string | null> {
  return async (pods) => {
    const pod = pods.find(lacksMachine);
    if (!pod) return null;
    const selector = `involvedObject.uid=${pod.metadata.uid}`;
    const said = await eventListing(place, now, { selector, keptMs: 0, keep: scaleUpsIn })();
    return said.toSorted((a, b) => a.at - b.at).at(-1)?.words ?? null;
  };
}

function lacksMachine(pod: Pod): boolean {
  const { status, message = "" } = findCondition(pod, "PodScheduled") ?? {};
  const isLeft = pod.spec.nodeName === undefined && pod.metadata.deletionTimestamp === undefined;
  return isLeft && status === "False" && !ofVolumes.test(message);
}

function scaleUpsIn({ reason, message = "", source, reportingComponent, lastTimestamp }: KubeEvent): ScaleUp[] {
  const words = describeScaleUp(reason, message, (reportingComponent || source?.component) ?? "");
  return words === undefined ? [] : [{ at: parseTime(lastTimestamp) ?? 0, words }];
}

/**
 * Events of the Cluster Autoscaler (cluster-autoscaler/processors/status/eventing_scale_up_processor.go) and of Karpenter
 * (karpenter.sh: pkg/controllers/provisioning/scheduling/events.go), which uses the scheduler's `FailedScheduling`.
 */
function describeScaleUp(reason: string | undefined, message: string, component: string): string | undefined {
  const isByKarpenter = component === "karpenter";
  if (reason === "NotTriggerScaleUp")
    return `The Cluster Autoscaler makes no machine: ${why(message, /^pod didn't trigger scale-up[^:]*: ?/)}`;
  if (reason === "TriggeredScaleUp") return "The Cluster Autoscaler makes a machine";
  if (reason === "FailedScheduling" && isByKarpenter)
    return `Karpenter makes no machine: ${why(message, /^Failed to schedule pod,? ?/)}`;
  return reason === "Nominated" && message.includes("nodeclaim/") && isByKarpenter
    ? "Karpenter makes a machine"
    : undefined;
}

function why(message: string, beginning: RegExp): string {
  return describeMessage(message.replace(beginning, ""));
}
