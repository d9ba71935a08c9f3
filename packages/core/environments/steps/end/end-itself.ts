import type { Observation } from "../../../ports/compute.ts";
import type { Step } from "../../../reconciler/step.ts";
import { hasRefusedExtension } from "../../record/changes/extensions.ts";
import type { Environment } from "../../record/record.ts";
import { decideEnd } from "../../record/transitions.ts";
import { describeEnd, isInterrupted } from "../interruption.ts";
import { endInterrupted, mayReturn } from "./end-interrupted.ts";
import { endRun, outcomeForExitCode, stopping } from "./end-run.ts";

const INTERRUPTED = "One of its machines is drained or lost";

/** Ends an environment whose run has ended, by the exit code or reason that the cluster reports. */
export function endItself(environment: Environment, observed: Observation, now: number): Step<Environment> {
  const { policy } = environment;
  const { exitCode, reason, started } = observed;
  // An exit code of an interrupted command says nothing if its job can go on elsewhere.
  if (exitCode !== null && isInterrupted(environment, observed) && mayReturn(environment, now))
    return endInterrupted(environment, now, describeEnd(environment, reason ?? INTERRUPTED));
  if (exitCode !== null) {
    const { phase, reason: words } = outcomeForExitCode(exitCode);
    if (phase === "failed" || policy.restarts) return endRun(environment, now, words ?? "", exitCode);
    return stopping(decideEnd(environment, { phase, reason: words, at: now, exitCode }), now);
  }
  if (policy.time !== "none" && isSafetyTimeout(observed)) {
    const why = hasRefusedExtension(environment) ? ": the cluster did not accept its extension" : "";
    return stopping(decideEnd(environment, { phase: "expired", reason: `Its time is over${why}`, at: now }), now);
  }
  const why = reason ?? (started ? "The run ended without a reason" : "The run ended before it started");
  const end = isInterrupted(environment, observed) ? endInterrupted : endRun;
  return end(environment, now, describeEnd(environment, why));
}

/** Reports whether the cluster's own deadline, a net behind every limit of the record, ended the run. */
export function isSafetyTimeout({ exitCode, reason }: Observation): boolean {
  return exitCode === null && (reason?.startsWith("DeadlineExceeded") ?? false);
}
