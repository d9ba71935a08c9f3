import type { RunState } from "#core/ports/compute.ts";
import { findMainStatus, hasBegun } from "../access/start-gate.ts";
import { isGated } from "../access/tools.ts";
import { describeMessage, textOfUser } from "../client/describe-message.ts";
import { formatLoginName, labelledRun } from "../names.ts";
import { type ContainerStatus, findCondition, holds, type Pod } from "../objects.ts";
import { endOfPod, type MachineEnd } from "./end-reason.ts";

export interface MachineStatus {
  readonly state: RunState;
  readonly started: boolean;
  /** Shown to users. */
  readonly reason: string | null;
  readonly end: MachineEnd | undefined;
  /** Reason to give if a second pull fails as the last one did; null if a pull may still succeed. */
  readonly unpulled: string | null;
  /** Its node has refused the pod for good, before any container began. It counts as unbound. */
  readonly isRejected?: true;
  /** The pod is being deleted, so its end shows how, but not why. */
  readonly deleted: boolean;
}

export function toMachineStatus(pod: Pod | undefined): MachineStatus {
  if (!pod) return { ...living("unbound"), deleted: false };
  return { ...seen(pod), deleted: pod.metadata.deletionTimestamp !== undefined };
}

/** Reports whether Berth ended the pod (`terminateRun`). Berth sets this deadline on no other pod. */
export function isTerminated({ spec }: Pod): boolean {
  return spec.activeDeadlineSeconds !== undefined;
}

/** Reports whether the command of a pod runs, as `toMachineStatus` shows by `started` without an `end`. */
export function isCommandRunning(pod: Pod): boolean {
  const isOver = pod.status?.phase === "Succeeded" || pod.status?.phase === "Failed";
  return !isOver && findMainStatus(pod)?.state?.running !== undefined && (!isGated(pod) || hasBegun(pod));
}

type Seen = Omit<MachineStatus, "deleted">;

function seen(pod: Pod): Seen {
  const main = findMainStatus(pod);
  const { phase } = pod.status ?? {};
  // A kubelet that no longer finds a container which ran shows its end as the last state.
  const isRunning = main?.state?.running !== undefined;
  const isWaitingAtGate = isRunning && isGated(pod) && !hasBegun(pod);
  if (isRejected(pod)) return { ...living("unbound", refusalOfNode(pod)), isRejected: true };
  if (phase === "Succeeded" || phase === "Failed") {
    const end = endOfPod(pod, main?.state?.terminated ?? main?.lastState?.terminated);
    // The garbage collector of pods fails one whose node is gone, and leaves its container as running.
    return ended({ ...end, started: end.started || (isRunning && !isWaitingAtGate) });
  }
  if (pod.spec.nodeName === undefined) return living("unbound", unscheduledReason(pod));
  if (main?.state?.terminated) return ended(endOfPod(pod, main.state.terminated));
  if (isWaitingAtGate) return living("container");
  if (isRunning) return { ...living(holds(pod, "Ready") ? "ready" : "probe"), started: true };
  return waitingForTools(pod) ?? waiting(pod, main);
}

const rejection = /^Pod was rejected: /;

/**
 * Reports whether the kubelet has refused the pod at its admission, for example as a GPU has just failed or a pod of
 * others has taken the memory. Such a pod fails without a status of any container (kubelet.go, `rejectPod`).
 */
function isRejected({ status = {} }: Pod): boolean {
  const { phase, message = "", containerStatuses = [], initContainerStatuses = [] } = status;
  const hasContainers = containerStatuses.length + initContainerStatuses.length > 0;
  return phase === "Failed" && !hasContainers && rejection.test(message);
}

function refusalOfNode({ spec, status = {} }: Pod): string {
  return `Its machine ${spec.nodeName} refused it: ${describeMessage(status.message?.replace(rejection, ""))}`;
}

function living(state: RunState, reason: string | null = null): Seen {
  return { state, started: false, reason, end: undefined, unpulled: null };
}

function ended(end: MachineEnd): Seen {
  return { state: "ended", started: end.started, reason: end.reason, end, unpulled: null };
}

/** Keeps only the reason: `0/3 nodes are available: 3 Insufficient nvidia.com/gpu`. */
function unscheduledReason(pod: Pod): string | null {
  const condition = findCondition(pod, "PodScheduled");
  if (condition?.status !== "False" || condition.message === undefined) return null;
  const words = describeMessage(condition.message.split(/\. (?:no new claims|preemption:)/)[0]);
  return /volume node affinity|PersistentVolume's node affinity/.test(words)
    ? `Its disk is in another zone than its machine: ${words}`
    : words;
}

/** Returns the status of a waiting container. The kubelet retries forever, and the Job shows no error. */
function waiting(pod: Pod, main: ContainerStatus | undefined): Seen {
  const { reason = "", message } = main?.state?.waiting ?? {};
  if (reason === "InvalidImageName") return neverStarts("The name of the image is invalid");
  if (reason === "ErrImagePull" || reason === "ImagePullBackOff") {
    const unpulled = whyUnpulled(message ?? "", pod);
    if (unpulled === null)
      return living("image", `The image could not be pulled yet: ${describeMessage(message, textOfUser(pod))}`);
    const next = reason === "ErrImagePull" ? "the node tries again" : "the node tries again soon";
    return { ...living("image", `${unpulled}; ${next}`), unpulled };
  }
  if (/^(Create|Run)Container.*Error$|^ErrImageNeverPull$/.test(reason))
    return living("container", describeMessage(message, textOfUser(pod)));
  return living(reason === "ContainerCreating" || reason === "" ? "image" : "container");
}

/** Returns why an image will not come. An expired credential gives the same answer, so one failure proves nothing. */
function whyUnpulled(message: string, pod: Pod): string | null {
  if (isRefused(message)) {
    return hasOwnLogin(pod)
      ? "Image not found, or its registry refuses the login of this job"
      : "Image not found, or it needs a password";
  }
  if (/no match for platform|no matching manifest/i.test(message)) {
    return "The image is for machines of another architecture";
  }
  return /not found|manifest unknown|invalid reference format/i.test(message) ? "Image not found" : null;
}

/** Registries say 401, 403 or words of their own, and some refuse a token before they are asked for the image. */
function isRefused(message: string): boolean {
  return /unauthorized|denied|forbidden|authentication required|no basic auth credentials/i.test(message);
}

function hasOwnLogin({ metadata, spec }: Pod): boolean {
  const run = labelledRun(metadata);
  return run !== undefined && (spec.imagePullSecrets ?? []).some(({ name }) => name === formatLoginName(run));
}

/** Returns the status of a pod that waits for the operator's tools image. The login of a job counts for it, too. */
function waitingForTools(pod: Pod): Seen | undefined {
  const { waiting } = pod.status?.initContainerStatuses?.find(({ name }) => name === "tools")?.state ?? {};
  if (!waiting || !/^(ErrImagePull|ImagePullBackOff|InvalidImageName)$/.test(waiting.reason ?? "")) return undefined;
  if (hasOwnLogin(pod) && isRefused(waiting.message ?? "")) {
    const unpulled = "The registry refuses the login of this job";
    return { ...living("image", unpulled), unpulled };
  }
  return living("image", `The image of TOOLS_IMAGE could not be pulled: ${describeMessage(waiting.message)}`);
}

function neverStarts(reason: string): Seen {
  return ended({ started: false, exitCode: null, reason, endedAt: null });
}
