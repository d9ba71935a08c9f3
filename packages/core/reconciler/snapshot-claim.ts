import { VolumeRefused } from "../problem.ts";
import { HOUR_MS } from "../units.ts";
import { StepTooOld } from "./budget.ts";

/** Longer than a worker may still act after its claim: twice the step's budget and a call's time-out. */
export const CLAIM_MS = 60_000;
export const MOST_ATTEMPTS = 3;
/** The longest time of one attempt to back up a disk, including all its tries. */
export const ATTEMPT_MS = 2 * HOUR_MS;
const LONGEST_REASON = 120;
const LEAST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 300_000;

/** Returns why CreateSnapshot certainly created nothing, up to 120 characters, or undefined if it may have. */
export function findRefusal(error: unknown): string | undefined {
  if (error instanceof StepTooOld) return "the worker was too slow";
  return error instanceof VolumeRefused ? error.message.slice(0, LONGEST_REASON) : undefined;
}

/** Returns how long to wait after a refusal, ms: as long as the attempt has taken, so pauses about double. */
export function pauseMs(takenMs: number): number {
  return Math.min(Math.max(takenMs, LEAST_PAUSE_MS), LONGEST_PAUSE_MS);
}

interface Tried {
  readonly attempt: number;
  readonly tried?: number | undefined;
  readonly refused?: string | undefined;
}

/** Returns the number of the next try, for its tag. This distinguishes a late snapshot of an earlier try. */
export function nextTry(latest: Tried | null): number {
  return latest === null ? 1 : countTries(latest) + (latest.refused === undefined ? 1 : 0);
}

export function countTries({ attempt, tried }: Tried): number {
  return tried ?? attempt;
}
