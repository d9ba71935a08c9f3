import type { Step } from "../../../reconciler/step.ts";
import type { Outcome } from "../../record/end.ts";
import type { Environment } from "../../record/record.ts";
import { changed } from "../../record/step-result.ts";
import { shorten } from "../../record/timeline.ts";
import { decideEnd, enter } from "../../record/transitions.ts";

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
