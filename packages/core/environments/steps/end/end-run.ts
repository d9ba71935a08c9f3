import type { Observation } from "../../../ports/compute.ts";
import type { Step } from "../../../reconciler/step.ts";
import { hasRefusedExtension } from "../../record/changes/extensions.ts";
import type { Outcome } from "../../record/end.ts";
import type { Environment } from "../../record/record.ts";
import { changed } from "../../record/step-result.ts";
import { shorten } from "../../record/timeline.ts";
import { decideEnd, enter } from "../../record/transitions.ts";
import { describeEnd } from "../interruption.ts";

export function stopping(environment: Environment, now: number): Step<Environment> {
  return changed(enter(environment, "stopping", now, environment.end.outcome?.reason ?? null), now, "stopping");
}

export function endByLimit(environment: Environment, outcome: Outcome, now: number): Step<Environment> {
  const { phase, reason } = outcome;
  if (phase !== "expired" && environment.policy.restarts) return endRun(environment, now, reason ?? "");
  return stopping(decideEnd(environment, { ...outcome, isLimit: true }), now);
}

export function outcomeForExitCode(exitCode: number): Pick<Outcome, "phase" | "reason" | "exitCode"> {
  return { phase: exitCode === 0 ? "completed" : "failed", reason: `command exited with code ${exitCode}`, exitCode };
}

export function endItself(environment: Environment, observed: Observation, now: number): Step<Environment> {
  const { policy } = environment;
  const { exitCode, reason, started } = observed;
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
  return endRun(environment, now, describeEnd(environment, why));
}

/** Reports whether the cluster's own deadline, a net behind every limit of the record, ended the run. */
export function isSafetyTimeout({ exitCode, reason }: Observation): boolean {
  return exitCode === null && (reason?.startsWith("DeadlineExceeded") ?? false);
}

/** Ends a run for this reason: as `stopped` if the policy restarts, otherwise for good. */
export function endRun(environment: Environment, now: number, reason: string, exitCode?: number): Step<Environment> {
  if (environment.policy.restarts) {
    const broken: Environment = {
      ...environment,
      goal: { ...environment.goal, desired: "stopped", start: null },
      run: { ...environment.run, error: shorten(reason) },
    };
    return changed(enter(broken, "stopping", now, reason), now, "stopping");
  }
  return stopping(
    decideEnd(environment, { phase: "failed", reason, at: now, ...(exitCode !== undefined && { exitCode }) }),
    now,
  );
}
