import { deadlineExceeded, endOfDeleted, type MachineEnd, timeOf } from "./end-reason.ts";
import type { MachineSight } from "./machine-sight.ts";
import { type Condition, conditionOf, holds, type Job, type Pod } from "./objects.ts";

export interface SeenMachine {
  readonly pod: Pod | undefined;
  readonly sight: MachineSight;
}

/** How a run ended; undefined: it lives, or nobody can tell yet. Of several machines one that failed ends it. */
export function endOfRun(job: Job | undefined, machines: readonly SeenMachine[]): MachineEnd | undefined {
  const ended = machines.flatMap(({ pod, sight }) =>
    sight.end ? [{ pod, end: sight.end, deleted: sight.deleted }] : [],
  );
  const areAllOver = machines.every(({ pod, sight }) => !pod || sight.end);
  const isKept = job !== undefined && job.metadata.deletionTimestamp === undefined;
  const verdict = isKept ? verdictOf(job) : undefined;
  if (verdict?.reason === "DeadlineExceeded") return areAllOver ? endBy(verdict, machines) : undefined;
  const own = ended.filter(({ deleted }) => !isKept || !deleted);
  const failed = own.find(({ end }) => end.exitCode !== 0);
  if (failed) return failed.end;
  if (own.length === machines.length) return newest(own.map(({ end }) => end));
  const pushed = isKept ? machines.find(({ pod, sight }) => pod && sight.deleted && isDisrupted(pod)) : undefined;
  if (pushed) return endOfDeleted(pushed.pod, pushed.sight.end ?? goingOn(pushed.sight));
  // A deleted pod is seen before its Job says why it deleted it, if it was the Job that did.
  if (!verdict || !areAllOver) return undefined;
  const other = ended.find(({ deleted }) => deleted);
  return other ? endOfDeleted(other.pod, other.end) : endBy(verdict, machines);
}

/** Nothing stops its end any more, and once it is over nobody says why. */
function isDisrupted(pod: Pod): boolean {
  return holds(pod, "DisruptionTarget");
}

function goingOn({ started }: MachineSight): MachineEnd {
  return { started, exitCode: null, reason: null, endedAt: null };
}

/** What the Job has made of it, first as an intent and, once its pods are over, for good. */
function verdictOf(job: Job): Condition | undefined {
  return ["Failed", "FailureTarget", "Complete", "SuccessCriteriaMet"]
    .map((type) => conditionOf(job, type))
    .find((condition) => condition?.status === "True");
}

/** By the word of the Job alone. */
function endBy({ type, reason, lastTransitionTime }: Condition, machines: readonly SeenMachine[]): MachineEnd {
  const endedAt = timeOf(lastTransitionTime);
  if (type === "Complete" || type === "SuccessCriteriaMet") {
    return { started: true, exitCode: 0, reason: null, endedAt };
  }
  const end = {
    started: machines.some(({ sight }) => sight.started),
    exitCode: null,
    endedAt,
    reason: deadlineExceeded,
  };
  return reason === "DeadlineExceeded" ? end : endOfDeleted(undefined, end);
}

function newest(ends: readonly MachineEnd[]): MachineEnd | undefined {
  return ends.toSorted((a, b) => (a.endedAt ?? 0) - (b.endedAt ?? 0)).at(-1);
}
