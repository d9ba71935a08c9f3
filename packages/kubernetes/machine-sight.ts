import type { RunState } from "#core/context.ts";
import { endOfPod, inWords, type MachineEnd } from "./end-reason.ts";
import { type ContainerStatus, conditionOf, holds, type Pod } from "./objects.ts";
import { MAIN } from "./run-job.ts";

/** How far one machine of a run has come. */
export interface MachineSight {
  readonly state: RunState;
  readonly started: boolean;
  /** In words, why it goes no further or how it ended. */
  readonly reason: string | null;
  readonly end: MachineEnd | undefined;
  /** Its pod was deleted: how it ended then says how that was done, and not why. */
  readonly deleted: boolean;
}

/** undefined: there is no pod for it. */
export function sightOf(pod: Pod | undefined): MachineSight {
  if (!pod) return { ...living("unbound"), deleted: false };
  return { ...seen(pod), deleted: pod.metadata.deletionTimestamp !== undefined };
}

type Seen = Omit<MachineSight, "deleted">;

function seen(pod: Pod): Seen {
  const main = pod.status?.containerStatuses?.find(({ name }) => name === MAIN);
  const { phase } = pod.status ?? {};
  if (phase === "Succeeded" || phase === "Failed") return ended(endOfPod(pod, main?.state?.terminated));
  if (pod.spec.nodeName === undefined) return living("unbound", unscheduledReason(pod));
  if (main?.state?.terminated) return ended(endOfPod(pod, main.state.terminated));
  if (main?.state?.running) return { ...living(holds(pod, "Ready") ? "ready" : "probe"), started: true };
  return waiting(main);
}

function living(state: RunState, reason: string | null = null): Seen {
  return { state, started: false, reason, end: undefined };
}

function ended(end: MachineEnd): Seen {
  return { state: "ended", started: end.started, reason: end.reason, end };
}

/** What the scheduler says, without what it tried for other pods: `0/3 nodes are available: 3 Insufficient nvidia.com/gpu`. */
function unscheduledReason(pod: Pod): string | null {
  const condition = conditionOf(pod, "PodScheduled");
  if (condition?.status !== "False" || condition.message === undefined) return null;
  return inWords(condition.message.split(/\. (?:no new claims|preemption:)/)[0]);
}

/** A name that is none, and what a registry knows nothing of or gives to nobody without a password, will not come. */
const hopeless = /not found|manifest unknown|unauthorized|denied|authentication required|invalid reference format/i;

/** The kubelet tries again for ever, and the Job says nothing of it. */
function waiting(main: ContainerStatus | undefined): Seen {
  const { reason = "", message } = main?.state?.waiting ?? {};
  if (reason === "InvalidImageName") return neverStarts("The name of the image is invalid");
  if (/^(ErrImagePull|ImagePullBackOff)$/.test(reason)) {
    if (/unauthorized|denied|authentication required/i.test(message ?? "")) {
      return neverStarts("Image not found, or not to be pulled without a password");
    }
    if (hopeless.test(message ?? "")) return neverStarts("Image not found");
    return living("image", `The image could not be pulled yet: ${inWords(message)}`);
  }
  if (/^(Create|Run)Container.*Error$|^ErrImageNeverPull$/.test(reason)) return living("container", inWords(message));
  return living(reason === "ContainerCreating" || reason === "" ? "image" : "container");
}

function neverStarts(reason: string): Seen {
  return ended({ started: false, exitCode: null, reason, endedAt: null });
}
