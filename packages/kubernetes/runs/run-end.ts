import { type Condition, findCondition, holds, type Job, type Pod } from "../objects.ts";
import { deadlineExceeded, endOfDeleted, type MachineEnd, parseTime } from "../status/end-reason.ts";
import { isTerminated, type MachineStatus } from "../status/machine-status.ts";

export interface SeenMachine {
  readonly job: Job | undefined;
  readonly pod: Pod | undefined;
  readonly status: MachineStatus;
  /** A pod of it was on a node. */
  readonly wasBound: boolean;
}

/**
 * How a run ended. Undefined: it lives, or the cluster has not said yet why its pod went. One failed machine ends the whole
 * run, unless its machines were asked to end: then the others may still print. Otherwise the run ends once all of its
 * machines have.
 */
export function endOfRun(machines: readonly SeenMachine[]): MachineEnd | undefined {
  const ends = machines.flatMap((machine) => endOfMachine(machine) ?? []);
  const failed = ends.find(({ exitCode }) => exitCode !== 0);
  const mayPrint = ends.length < machines.length && machines.some(({ pod }) => pod && isTerminated(pod));
  if (failed && !mayPrint) return failed;
  if (ends.length === machines.length) return newest(ends);
  const [first, ...others] = machines;
  // Somebody deleted the first Job, and its pod went with it, while the other machines go on.
  const lostFirstJob = first && !first.job && !first.pod && others.some(({ job }) => job);
  return lostFirstJob ? { ...goingOn(first.status), reason: jobDeletedWords } : undefined;
}

function endOfMachine({ job, pod, status, wasBound }: SeenMachine): MachineEnd | undefined {
  const isKept = job !== undefined && job.metadata.deletionTimestamp === undefined;
  const verdict = isKept ? findVerdict(job) : undefined;
  const isAlone = !job && pod && !status.deleted && !status.end;
  if (isAlone) return { ...goingOn(status), reason: jobDeletedWords };
  // Somebody suspended the Job or set its parallelism to 0. A Job makes its pod once, so the run is over although undoing
  // that would make another pod.
  if (isKept && wasBound && !pod && !verdict) return endOfDeleted(undefined, goingOn({ ...status, started: true }));
  const isOver = !pod || status.end !== undefined;
  if (verdict?.reason === "DeadlineExceeded") return isOver ? endBy(verdict, status) : undefined;
  if (!isKept || !status.deleted) return status.end ?? (verdict && isOver ? endBy(verdict, status) : undefined);
  // The cluster has decided to end this pod. The reason is read now, since nobody says it once the pod is gone.
  if (pod && holds(pod, "DisruptionTarget")) return endOfDeleted(pod, status.end ?? goingOn(status));
  // A deleted pod is seen before the Job says why: where the Job deleted it, the reason comes a moment later.
  return verdict && status.end ? endOfDeleted(pod, status.end) : undefined;
}

const jobDeletedWords = "the environment's Job was deleted from outside";

function goingOn({ started }: MachineStatus): MachineEnd {
  return { started, exitCode: null, reason: null, endedAt: null };
}

/**
 * The Job's own verdict. The Job first announces it (FailureTarget, SuccessCriteriaMet) and repeats it as final once its
 * pods have ended.
 */
export function findVerdict(job: Job): Condition | undefined {
  return ["Failed", "FailureTarget", "Complete", "SuccessCriteriaMet"]
    .map((type) => findCondition(job, type))
    .find((condition) => condition?.status === "True");
}

/** The end of a machine by the verdict of its Job alone. */
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
