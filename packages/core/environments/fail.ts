import type { Step } from "../worker.ts";
import { changed } from "./pace.ts";
import type { Environment } from "./record.ts";
import { shorten } from "./timeline.ts";
import { decideEnd, enter } from "./transitions.ts";

/** Ends a life that was decided to end; the reason is the outcome's. */
export function stopping(environment: Environment, now: number): Step<Environment> {
  return changed(enter(environment, "stopping", now, environment.outcome?.reason ?? null), now, "stopping");
}

/** Ends a run for this reason: for good, or `stopped` where it may be started again. */
export function fail(environment: Environment, now: number, reason: string): Step<Environment> {
  if (environment.policy.restarts) {
    const broken: Environment = { ...environment, desired: "stopped", broken: shorten(reason), remembered: null };
    return changed(enter(broken, "stopping", now, reason), now, "stopping");
  }
  return stopping(decideEnd(environment, { phase: "failed", reason, at: now }), now);
}
