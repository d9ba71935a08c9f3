import { deadlineExceeded, endOfDeleted, type MachineEnd, timeOf } from "./end-reason.ts";
import type { MachineStatus } from "./machine-status.ts";
import { type Condition, conditionOf, holds, type Job, type Pod } from "./objects.ts";

export interface SeenMachine {
  readonly job: Job | undefined;
  readonly pod: Pod | undefined;
  readonly status: MachineStatus;
  /** A pod of it was on a node. */
  readonly wasBound: boolean;
}

/** How a run ended; undefined: it lives, or nobody can tell yet. Of several machines one that failed ends it. */
export function endOfRun(machines: readonly SeenMachine[]): MachineEnd | undefined {
  const ends = machines.flatMap((machine) => endOfMachine(machine) ?? []);
  const failed = ends.find(({ exitCode }) => exitCode !== 0);
  if (failed) return failed;
  if (ends.length === machines.length) return newest(ends);
  const [first, ...others] = machines;
  // Somebody deleted its first Job by hand, and the others go on.
  const isBeheaded = first && !first.job && !first.pod && others.some(({ job }) => job);
  return isBeheaded ? endOfDeleted(undefined, goingOn(first.status)) : undefined;
}

function endOfMachine({ job, pod, status, wasBound }: SeenMachine): MachineEnd | undefined {
  const isKept = job !== undefined && job.metadata.deletionTimestamp === undefined;
  const verdict = isKept ? verdictOf(job) : undefined;
  const isAlone = !job && pod && !status.deleted && !status.end;
  if (isAlone) return { ...goingOn(status), reason: jobDeletedWords };
  // By whoever suspended its Job or took its pods' number down: a Job makes its pod once, unless that is undone.
  if (isKept && wasBound && !pod && !verdict) return endOfDeleted(undefined, goingOn({ ...status, started: true }));
  const isOver = !pod || status.end !== undefined;
  if (verdict?.reason === "DeadlineExceeded") return isOver ? endBy(verdict, status) : undefined;
  if (!isKept || !status.deleted) return status.end ?? (verdict && isOver ? endBy(verdict, status) : undefined);
  // Nothing stops its end any more, and once it is over nobody says why.
  if (pod && holds(pod, "DisruptionTarget")) return endOfDeleted(pod, status.end ?? goingOn(status));
  // A deleted pod is seen before its Job says why it deleted it, if it was the Job that did.
  return verdict && status.end ? endOfDeleted(pod, status.end) : undefined;
}

const jobDeletedWords = "the environment's Job was deleted from outside";

function goingOn({ started }: MachineStatus): MachineEnd {
  return { started, exitCode: null, reason: null, endedAt: null };
}

/** What the Job has made of it, first as an intent and, once its pods are over, for good. */
export function verdictOf(job: Job): Condition | undefined {
  return ["Failed", "FailureTarget", "Complete", "SuccessCriteriaMet"]
    .map((type) => conditionOf(job, type))
    .find((condition) => condition?.status === "True");
}

/** By the word of the Job alone. */
function endBy({ type, reason, lastTransitionTime }: Condition, { started }: MachineStatus): MachineEnd {
  const endedAt = timeOf(lastTransitionTime);
  if (type === "Complete" || type === "SuccessCriteriaMet")
    return { started: true, exitCode: 0, reason: null, endedAt };
  const end = { started, exitCode: null, endedAt, reason: deadlineExceeded };
  return reason === "DeadlineExceeded" ? end : endOfDeleted(undefined, end);
}

function newest(ends: readonly MachineEnd[]): MachineEnd | undefined {
  return ends.toSorted((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0)).at(-1);
}
