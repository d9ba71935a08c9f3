import { instanceTypeOfPool, poolTypes } from "#core/fleet.ts";
import type { Lack } from "#core/ports/machine-groups.ts";
import { lackText } from "#core/text/lack-text.ts";
import { MINUTE_MS } from "#core/units.ts";
import { describeMessage } from "../client/describe-message.ts";
import { label } from "../names.ts";
import { findCondition, type Pod } from "../objects.ts";
import type { ClusterContext } from "../runs/read-run.ts";
import { parseTime } from "./end-reason.ts";
import { eventListing, type KubeEvent } from "./events.ts";
import { type FailedLaunch, failedLaunches } from "./failed-launches.ts";
import { ofVolumes } from "./observation.ts";

/** Pods that have a machine have most other events. */
const selector = ["Scheduled", "Pulling", "Pulled", "Created", "Started", "Killing"].reduce(
  (fields, reason) => `${fields},reason!=${reason}`,
  "involvedObject.kind=Pod",
);

export interface ScaleUp {
  readonly words: string;
  /** The kind of shortage at AWS. Set only while Karpenter asks for no machine of another zone or kind. */
  readonly lacks?: Lack | undefined;
}

/** An event of an autoscaler about a pod. */
interface Said {
  readonly uid: string;
  readonly at: number;
  readonly words: string;
  readonly isByKarpenter: boolean;
  /** The NodeClaim that Karpenter makes for the pod. */
  readonly claim?: string | undefined;
}

/**
 * Returns what an autoscaler last said of the first pod that no machine has room for, or null. Events of the pod say
 * it, and an event of the NodeClaim if Karpenter could not launch a machine. For a pod whose volume keeps it from every
 * machine, the scheduler's reason says more.
 */
export function scaleUps(place: ClusterContext, now: () => number): (pods: readonly Pod[]) => Promise<ScaleUp | null> {
  const list = eventListing(place, now, { selector, keptMs: 10_000, keep: saidIn });
  const findFailedLaunch = failedLaunches(place, now);
  return async (pods) => {
    const pod = pods.find(lacksMachine);
    if (!pod) return null;
    const said = (await list()).filter(({ uid }) => uid === pod.metadata.uid).toSorted((a, b) => a.at - b.at);
    const last = said.at(-1);
    const claim = last?.isByKarpenter ? said.findLast((event) => event.claim !== undefined)?.claim : undefined;
    const failed = claim === undefined ? undefined : await findFailedLaunch(claim);
    if (last && failed) return afterFailedLaunch(pod, last, failed, now());
    return last ? { words: last.words } : null;
  };
}

/** Karpenter asks EC2 again after this time (karpenter-provider-aws, pkg/cache/cache.go, `UnavailableOfferingsTTL`). */
const UNAVAILABLE_MS = 3 * MINUTE_MS;

/**
 * Returns what holds after a failed launch. Karpenter first tries other zones and kinds of machines, for example
 * On-Demand after Spot. It reports `FailedScheduling` once none is left, and then waits until it may ask EC2 again.
 */
function afterFailedLaunch(pod: Pod, last: Said, { lacks, zones, words, at }: FailedLaunch, now: number): ScaleUp {
  const isNewest = last.claim !== undefined;
  const triesNone = !isNewest && last.at >= at && now < at + UNAVAILABLE_MS;
  if (!isNewest && !triesNone) return { words: last.words };
  const type = findType(pod);
  if (lacks === undefined || type === undefined) return { words: `Karpenter adds no machine: ${words}` };
  return { words: lackText(lacks, type, zones), ...(triesNone && { lacks }) };
}

function findType({ metadata: { labels } }: Pod): string | undefined {
  const pool = labels?.[label.pool] ?? "";
  return poolTypes.includes(pool) ? instanceTypeOfPool(pool).name : undefined;
}

function lacksMachine(pod: Pod): boolean {
  const { status, message = "" } = findCondition(pod, "PodScheduled") ?? {};
  const isLeft = pod.spec.nodeName === undefined && pod.metadata.deletionTimestamp === undefined;
  return isLeft && status === "False" && !ofVolumes.test(message);
}

function saidIn(event: KubeEvent): Said[] {
  const { involvedObject, reason, message = "", source, reportingComponent, lastTimestamp } = event;
  const { uid } = involvedObject;
  const isByKarpenter = (reportingComponent || source?.component) === "karpenter";
  const words = describeScaleUp(reason, message, isByKarpenter);
  if (uid === undefined || words === undefined) return [];
  const claim = reason === "Nominated" ? findClaim(message) : undefined;
  return [{ uid, at: parseTime(lastTimestamp) ?? 0, words, isByKarpenter, claim }];
}

/** Returns the NodeClaim in `Pod should schedule on: nodeclaim/gpu-x7k2p, node/one`. */
function findClaim(message: string): string | undefined {
  return /\bnodeclaim\/([^\s,]+)/.exec(message)?.[1];
}

/**
 * Returns the words for an event of the Cluster Autoscaler (processors/status/eventing_scale_up_processor.go) or of
 * Karpenter (pkg/controllers/provisioning/scheduling/events.go), which uses the scheduler's `FailedScheduling`.
 */
function describeScaleUp(reason: string | undefined, message: string, isByKarpenter: boolean): string | undefined {
  if (reason === "NotTriggerScaleUp")
    return `The Cluster Autoscaler adds no machine: ${why(message, /^pod didn't trigger scale-up[^:]*: ?/)}`;
  if (reason === "TriggeredScaleUp") return "The Cluster Autoscaler is adding a machine";
  if (reason === "FailedScheduling" && isByKarpenter)
    return `Karpenter adds no machine: ${why(message, /^Failed to schedule pod,? ?/)}`;
  const isMade = reason === "Nominated" && isByKarpenter && findClaim(message) !== undefined;
  return isMade ? "Karpenter is adding a machine" : undefined;
}

/** Returns the causes in a fixed order: the Cluster Autoscaler lists them in another one each time. */
function why(message: string, beginning: RegExp): string {
  const causes = message.replace(beginning, "").split(/, (?=\d+ )/);
  return describeMessage(
    causes.toSorted((a, b) => (a.replace(/^\d+/, "") < b.replace(/^\d+/, "") ? -1 : 1)).join(", "),
  );
}
