import type { Context } from "../../context.ts";
import type { Environment } from "../record/record.ts";

/** The step's budget, a call's time-out and a second more (docs/architecture.md#claims). */
const LATE_START_MS = 26_000;
/** How far the clocks of two hosts may be apart: one writes when the run left `preparing`, another one releases it. */
const CLOCKS_MS = 17_000;

/** Notes when a run left `preparing`, or gave its grant back: who reads the record from now on does not start it. */
export function noStartFrom(environment: Environment, now: number): Environment {
  return environment.run.noStartSince === null
    ? { ...environment, run: { ...environment.run, noStartSince: now } }
    : environment;
}

/**
 * When units and disk of a run that was seen gone may be given back: not while a worker that slept since it was being
 * prepared may still start it again, unless the driver refuses that.
 */
export function releasableAt({ compute }: Context<"compute">, environment: Environment, now: number): number {
  const {
    run: { applyingAt, noStartSince },
  } = environment;
  return applyingAt === null || compute.refusesSecondStart ? now : (noStartSince ?? now) + LATE_START_MS + CLOCKS_MS;
}
