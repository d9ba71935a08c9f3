import { type Condition, findCondition, holds, type Job, type Pod } from "../objects.ts";
import { deadlineExceeded, endOfDeleted, isOutside, type MachineEnd, parseTime } from "../status/end-reason.ts";
import { isTerminated, type MachineStatus } from "../status/machine-status.ts";

export interface SeenMachine {
  readonly job: Job | undefined;
  readonly pod: Pod | undefined;
  readonly status: MachineStatus;
  readonly wasBound: boolean;
}

/**
 * Returns how a run ended, or undefined if it lives or the cluster has yet to say why its pod went. One failed machine
 * ends the run, unless Berth ended the machines: then the others may still print.
 */
export function endOfRun(machines: readonly SeenMachine[]): MachineEnd | undefined {
  const ends = machines.flatMap((machine) => endOfMachine(machine) ?? []);
  // The commands of a lost machine's peers fail because of it.
  const failed = ends.find(({ reason }) => isOutside(reason)) ?? ends.find(({ exitCode }) => exitCode !== 0);
  const mayPrint = ends.length < machines.length && machines.some(({ pod }) => pod && isTerminated(pod));
  if (failed && !mayPrint) return failed;
  if (ends.length === machines.length) return newest(ends);
  const [first, ...others] = machines;
  // The first Job was deleted with its pod, while the other machines still run.
  const lostFirstJob = first && !first.job && !first.pod && others.some(({ job }) => job);
  return lostFirstJob ? { ...goingOn(first.status), reason: jobDeletedWords } : undefined;
}

function endOfMachine({ job, pod, status, wasBound }: SeenMachine): MachineEnd | undefined {
  const isKept = job !== undefined && job.metadata.deletionTimestamp === undefined;
  const verdict = isKept ? findVerdict(job) : undefined;
  const isAlone = !job && pod && !status.deleted && !status.end && !status.isRejected;
  if (isAlone) return { ...goingOn(status), reason: jobDeletedWords };
  // The Job was suspended, or its parallelism set to 0. A Job creates its pod once, so the run is over, although
  // undoing the change would create another pod.
  if (isKept && wasBound && !pod && !verdict) return endOfDeleted(undefined, goingOn({ ...status, started: true }));
  const isOver = !pod || status.end !== undefined;
  if (verdict?.reason === "DeadlineExceeded") return isOver ? endBy(verdict, status) : undefined;
  if (!isKept || !status.deleted) return status.end ?? (verdict && isOver ? endBy(verdict, status) : undefined);
  // The cluster has decided to end this pod. Only the pod says why, so read the reason before it is gone.
  if (pod && holds(pod, "DisruptionTarget")) return endOfDeleted(pod, status.end ?? goingOn(status));
  // A deleted pod is visible before the Job gives the reason. If the Job deleted it, the verdict follows shortly.
  return verdict && status.end ? endOfDeleted(pod, status.end) : undefined;
}

/** Reports whether the cluster ends the machine's pod, and its command, which may still print, has yet to end. */
export function isHandlingSigterm({ pod, status }: SeenMachine): boolean {
  return pod !== undefined && status.deleted && status.started && !status.end && holds(pod, "DisruptionTarget");
}

const jobDeletedWords = "the environment's Job was deleted from outside";

function goingOn({ started }: MachineStatus): MachineEnd {
  return { started, exitCode: null, reason: null, endedAt: null };
}

/** Returns a Job's verdict, which it first announces (FailureTarget, SuccessCriteriaMet) and repeats after its pods. */
export function findVerdict(job: Job): Condition | undefined {
  return ["Failed", "FailureTarget", "Complete", "SuccessCriteriaMet"]
    .map((type) => findCondition(job, type))
    .find((condition) => condition?.status === "True");
}

/** Returns the end of a machine from the verdict of its Job alone. */
function endBy({ type, reason, lastTransitionTime }: Condition, { started }: MachineStatus): MachineEnd {
  const endedAt = parseTime(lastTransitionTime);
  if (type === "Complete" || type === "SuccessCriteriaMet")
    return { started: true, exitCode: 0, reason: null, endedAt };
  const end = { started, exitCode: null, endedAt, reason: deadlineExceeded };
  return reason === "DeadlineExceeded" ? end : endOfDeleted(undefined, end);
}

function newest(ends: readonly MachineEnd[]): MachineEnd | undefined {
  return ends.toSorted((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0)).at(-1);
}
