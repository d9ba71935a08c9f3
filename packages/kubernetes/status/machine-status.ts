import type { RunState } from "#core/ports/compute.ts";
import { hasBegun } from "../access/start-gate.ts";
import { isGated } from "../access/tools.ts";
import { describeMessage, textOfUser } from "../client/describe-message.ts";
import { type ContainerStatus, findCondition, holds, type Pod } from "../objects.ts";
import { MAIN } from "../runs/run-job.ts";
import { endOfPod, type MachineEnd } from "./end-reason.ts";

/** How far one machine of a run has come. */
export interface MachineStatus {
  readonly state: RunState;
  readonly started: boolean;
  /** In words, why it goes no further or how it ended. */
  readonly reason: string | null;
  readonly end: MachineEnd | undefined;
  /** Why its image will not come, should a second pull fail as the last one did; null: it may. */
  readonly unpulled: string | null;
  /** Its pod was deleted: how it ended then says how that was done, and not why. */
  readonly deleted: boolean;
}

/** undefined: there is no pod for it. */
export function toMachineStatus(pod: Pod | undefined): MachineStatus {
  if (!pod) return { ...living("unbound"), deleted: false };
  return { ...seen(pod), deleted: pod.metadata.deletionTimestamp !== undefined };
}

/** Whether the pod was asked to end (terminate-run.ts): Berth sets this deadline on no other pod. */
export function isTerminated({ spec }: Pod): boolean {
  return spec.activeDeadlineSeconds !== undefined;
}

type Seen = Omit<MachineStatus, "deleted">;

function seen(pod: Pod): Seen {
  const main = pod.status?.containerStatuses?.find(({ name }) => name === MAIN);
  const { phase } = pod.status ?? {};
  if (phase === "Succeeded" || phase === "Failed") return ended(endOfPod(pod, main?.state?.terminated));
  if (pod.spec.nodeName === undefined) return living("unbound", unscheduledReason(pod));
  if (main?.state?.terminated) return ended(endOfPod(pod, main.state.terminated));
  if (main?.state?.running && isGated(pod) && !hasBegun(pod)) return living("container");
  if (main?.state?.running) return { ...living(holds(pod, "Ready") ? "ready" : "probe"), started: true };
  return waitingForTools(pod) ?? waiting(pod, main);
}

function living(state: RunState, reason: string | null = null): Seen {
  return { state, started: false, reason, end: undefined, unpulled: null };
}

function ended(end: MachineEnd): Seen {
  return { state: "ended", started: end.started, reason: end.reason, end, unpulled: null };
}

/** What the scheduler says, without what it tried for other pods: `0/3 nodes are available: 3 Insufficient nvidia.com/gpu`. */
function unscheduledReason(pod: Pod): string | null {
  const condition = findCondition(pod, "PodScheduled");
  if (condition?.status !== "False" || condition.message === undefined) return null;
  const words = describeMessage(condition.message.split(/\. (?:no new claims|preemption:)/)[0]);
  return /volume node affinity|PersistentVolume's node affinity/.test(words)
    ? `Its disk is in another zone than its machine: ${words}`
    : words;
}

/** The kubelet tries again for ever, and the Job says nothing of it. */
function waiting(pod: Pod, main: ContainerStatus | undefined): Seen {
  const { reason = "", message } = main?.state?.waiting ?? {};
  if (reason === "InvalidImageName") return neverStarts("The name of the image is invalid");
  if (reason === "ErrImagePull" || reason === "ImagePullBackOff") {
    const unpulled = whyUnpulled(message ?? "");
    if (unpulled === null)
      return living("image", `The image could not be pulled yet: ${describeMessage(message, textOfUser(pod))}`);
    const next = reason === "ErrImagePull" ? "it is asked for again" : "it is asked for again in a moment";
    return { ...living("image", `${unpulled}; ${next}`), unpulled };
  }
  if (/^(Create|Run)Container.*Error$|^ErrImageNeverPull$/.test(reason))
    return living("container", describeMessage(message, textOfUser(pod)));
  return living(reason === "ContainerCreating" || reason === "" ? "image" : "container");
}

/**
 * What a registry knows nothing of, or gives to nobody without a password, will not come. It says the same while a
 * credential of the machine has run out, so one fault proves nothing.
 */
function whyUnpulled(message: string): string | null {
  if (/unauthorized|denied|authentication required|no basic auth credentials/i.test(message)) {
    return "Image not found, or not to be pulled without a password";
  }
  return /not found|manifest unknown|invalid reference format/i.test(message) ? "Image not found" : null;
}

/** Of the operator's image, which the container of the run waits for. */
function waitingForTools({ status }: Pod): Seen | undefined {
  const { waiting } = status?.initContainerStatuses?.find(({ name }) => name === "tools")?.state ?? {};
  if (!waiting || !/^(ErrImagePull|ImagePullBackOff|InvalidImageName)$/.test(waiting.reason ?? "")) return undefined;
  return living("image", `The image of TOOLS_IMAGE could not be pulled: ${describeMessage(waiting.message)}`);
}

function neverStarts(reason: string): Seen {
  return ended({ started: false, exitCode: null, reason, endedAt: null });
}
