import type { Removal } from "../../../ports/compute.ts";
import type { Environment } from "../../record/record.ts";
import type { RunState } from "../../record/run/run-state.ts";

/** Step budget, time-out of a call and one second (docs/architecture/consistency.md#paused-workers). */
const LATE_START_MS = 26_000;
/** Maximum clock skew of two hosts: one records when the run left `preparing`, another releases it. */
const CLOCKS_MS = 17_000;

/** Workers that read the record from now on do not start the run. */
export function noStartFrom(environment: Environment, now: number): Environment {
  return environment.run.noStartSince === null
    ? { ...environment, run: { ...environment.run, noStartSince: now } }
    : environment;
}

/**
 * Returns when units and disk may be given back. Until then a paused worker may start the run, unless tombstones
 * refuse it.
 */
export function releasableAt(environment: Environment, now: number): number {
  return environment.run.startsRefused ? now : lastStartAt(environment, now);
}

export function tombstonesFor(environment: Environment, now: number): Pick<Removal, "tombstones"> {
  const isNeeded = releasableAt(environment, now) > now;
  return isNeeded ? { tombstones: environment.size.machines } : {};
}

export function noteRemoval(run: RunState, hasTombstones: boolean, now: number): RunState {
  const startsRefused = hasTombstones || run.startsRefused;
  return { ...run, removedAt: run.removedAt ?? now, ...(startsRefused && { startsRefused }) };
}

function lastStartAt({ run: { applyingAt, noStartSince } }: Environment, now: number): number {
  return applyingAt === null ? now : (noStartSince ?? now) + LATE_START_MS + CLOCKS_MS;
}
