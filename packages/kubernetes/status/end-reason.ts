import { parseExitMessage } from "../access/tools.ts";
import { describeMessage, textOfUser } from "../client/describe-message.ts";
import { findInterruption } from "../nodes/interruption-taints.ts";
import { findCondition, type Node, type Pod, type Terminated } from "../objects.ts";

export interface MachineEnd {
  readonly started: boolean;
  readonly exitCode: number | null;
  readonly reason: string | null;
  /** ms since the epoch; null if unknown. */
  readonly endedAt: number | null;
}

export const deadlineExceeded = "DeadlineExceeded: the time limit of the environment was reached";

/** Linux uses these on every architecture that Kubernetes supports (signal(7)). */
const signals: Readonly<Record<number, string>> = {
  1: "SIGHUP",
  2: "SIGINT",
  3: "SIGQUIT",
  4: "SIGILL",
  6: "SIGABRT",
  7: "SIGBUS",
  8: "SIGFPE",
  9: "SIGKILL",
  11: "SIGSEGV",
  13: "SIGPIPE",
  14: "SIGALRM",
  15: "SIGTERM",
};

/** Reasons of containerd and Docker for a command that could not start. */
const neverBegan = ["StartError", "ContainerCannotRun"];

/** Reasons of containerd and of the kubelet for a container that is gone without an exit code. */
const lostByRuntime = ["Unknown", "ContainerStatusUnknown"];
const killedCode = 128 + 9;

export function endOfPod(pod: Pod, terminated: Terminated | undefined): MachineEnd {
  const { status = {} } = pod;
  const evicted = status.reason === undefined ? undefined : endedByCluster(status.reason, status.message);
  if (!terminated) {
    const reason = evicted ?? findDisruption(pod) ?? findToolsProblem(pod) ?? lostWords;
    return { started: false, exitCode: null, endedAt: null, reason };
  }
  const { exitCode, reason = "", message } = terminated;
  const words = parseExitMessage(pod, message);
  const endedAt = parseTime(terminated.finishedAt);
  if (neverBegan.includes(reason) || words?.started === false) {
    const why = `The command could not be started: ${whyNotStarted(pod, words?.problem ?? message)}`;
    return { started: false, exitCode: null, endedAt, reason: evicted ?? why };
  }
  const started = true;
  if (evicted !== undefined) return { started, exitCode: null, endedAt, reason: evicted };
  // Only the supervisor distinguishes a signal from the exit code that a shell gives for it.
  const signal = words === undefined || words.signal !== undefined ? signals[exitCode - 128] : undefined;
  if (lostByRuntime.includes(reason)) return { started, exitCode: null, endedAt, reason: lostContainerWords };
  // Without cgroup v2 the kernel may kill only a child of the command, and the command goes on.
  if (reason === "OOMKilled" && exitCode === killedCode)
    return { started, exitCode: null, endedAt, reason: outOfMemory };
  if (signal === undefined) return { started, exitCode, endedAt, reason: null };
  return { started, exitCode: null, endedAt, reason: `command was killed by signal ${signal}` };
}

/** Returns why the operator's tools image failed, if it did. A signal ends it only together with its pod. */
function findToolsProblem(pod: Pod): string | undefined {
  const { terminated } = pod.status?.initContainerStatuses?.find(({ name }) => name === "tools")?.state ?? {};
  const { exitCode = 0, reason = "", message } = terminated ?? {};
  if (neverBegan.includes(reason))
    return `The tools of TOOLS_IMAGE could not be started: ${whyNotStarted(pod, message)}`;
  const why = reason === "OOMKilled" ? "it used more memory than it may" : `exit code ${exitCode}`;
  const isOwnFault = reason === "OOMKilled" || (exitCode > 0 && exitCode <= 128);
  return isOwnFault ? `The tools of TOOLS_IMAGE could not be copied: ${why}` : undefined;
}

/** Returns the cause from a runtime's message, which begins with the steps that led to it. */
function whyNotStarted(pod: Pod, message: string | undefined): string {
  const [, program] = /exec: "([^"]+)": (?:stat .*no such file|executable file not found)/.exec(message ?? "") ?? [];
  if (program !== undefined) return `its image has no ${describeMessage(program, program)}`;
  const problem = message?.split(/unable to start container process: (?:error during container init: )?/).at(-1);
  return describeMessage(problem, textOfUser(pod));
}

/** Returns the end of a pod that was deleted while its Job lives. */
export function endOfDeleted(pod: Pod | undefined, end: MachineEnd): MachineEnd {
  return { ...end, exitCode: null, reason: (pod && findDisruption(pod)) ?? deletedWords };
}

function findDisruption(pod: Pod): string | undefined {
  const { status, reason = "" } = findCondition(pod, "DisruptionTarget") ?? {};
  return status === "True" ? disruptions[reason] : undefined;
}

const deletedWords = "the environment's pod was deleted from outside";
const shutDownWords = "its machine was shut down";
const lostWords = "the environment's pod was ended from outside";
const lostContainerWords = "its machine lost the container, as in a restart of the machine";

/** https://kubernetes.io/docs/concepts/workloads/pods/disruptions/#pod-disruption-conditions */
const disruptions: Readonly<Record<string, string>> = {
  PreemptionByScheduler: "it had to give way to a pod of higher priority",
  DeletionByTaintManager: "its machine was closed to it",
  EvictionByEvictionAPI: "it was evicted from its machine",
  DeletionByPodGC: "its machine is gone",
  TerminationByKubelet: "its machine ended it",
};

const takenWords: readonly string[] = [
  ...["DeletionByTaintManager", "EvictionByEvictionAPI", "DeletionByPodGC", "TerminationByKubelet"].flatMap(
    (reason) => disruptions[reason] ?? [],
  ),
  shutDownWords,
];

/**
 * Reports whether the cluster ended a run for a reason outside of it. A deleted pod counts only if its machine is being
 * taken back, because Karpenter then deletes pods. Otherwise an operator has deleted it.
 */
export function isDisrupted(reason: string | null, nodes: readonly Node[]): boolean {
  if (reason === null) return false;
  const isTakenBack = !["rebalance", undefined].includes(findInterruption(nodes));
  return isOutside(reason) || ([deletedWords, lostWords].includes(reason) && isTakenBack);
}

/** Reports whether the reason alone says that the cluster took the run from its machine. */
export function isOutside(reason: string | null): boolean {
  return reason !== null && [...takenWords, lostContainerWords, disruptions.PreemptionByScheduler].includes(reason);
}

/** Returns the reason from the node's taints if it lost its machine. */
export function withNotice(reason: string | null, nodes: readonly Node[]): string | null {
  if (reason === null || !takenWords.includes(reason)) return reason;
  const interruption = findInterruption(nodes);
  if (!interruption) return reason;
  const isSpot = interruption === "spot";
  return isSpot
    ? "its machine was taken back by its provider: a spot interruption"
    : "its machine was taken out of service";
}

const outOfMemory = "command was killed by signal SIGKILL: it used more memory than it may";

function endedByCluster(reason: string, message: string | undefined): string {
  if (reason === "DeadlineExceeded") return deadlineExceeded;
  if (reason === "Evicted") return `evicted by its machine: ${describeMessage(message)}`;
  if (/^(Terminated|NodeShutdown|Shutdown)$/.test(reason)) return shutDownWords;
  return `ended by the cluster: ${describeMessage(message ?? reason)}`;
}

/** Returns ms since the epoch, or null. */
export function parseTime(text: string | null | undefined): number | null {
  const at = Date.parse(text ?? "");
  return Number.isNaN(at) ? null : at;
}
