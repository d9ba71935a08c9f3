import { VolumeRefused } from "../problem.ts";
import { HOUR_MS } from "../units.ts";
import { StepTooOld } from "./budget.ts";

/** Longer than a worker that has claimed may still act: the step's budget and a call's time-out, twice over. */
export const CLAIM_MS = 60_000;
export const MOST_ATTEMPTS = 3;
/** How long one attempt to back a disk up may take, however often it is tried meanwhile. */
export const ATTEMPT_MS = 2 * HOUR_MS;
const LONGEST_REASON = 120;
const LEAST_PAUSE_MS = 10_000;
const LONGEST_PAUSE_MS = 300_000;

/**
 * Why a call of CreateSnapshot certainly made nothing, in at most 120 characters; undefined: it may have had its effect,
 * as with whatever else is thrown.
 */
export function refusalOf(error: unknown): string | undefined {
  if (error instanceof StepTooOld) return "the worker was too slow";
  return error instanceof VolumeRefused ? error.message.slice(0, LONGEST_REASON) : undefined;
}

/** How many ms nobody tries again after a refusal: about twice as long each time, by how long the attempt has taken. */
export function pauseMs(takenMs: number): number {
  return Math.min(Math.max(takenMs, LEAST_PAUSE_MS), LONGEST_PAUSE_MS);
}

interface Tried {
  readonly attempt: number;
  readonly tried?: number | undefined;
  readonly refused?: string | undefined;
}

/**
 * The number of the next try, for its tag: what may have been made under the one before can still be listed, and is told
 * apart from what the next one makes.
 */
export function nextTry(latest: Tried | null): number {
  return latest === null ? 1 : triedOf(latest) + (latest.refused === undefined ? 1 : 0);
}

export function triedOf({ attempt, tried }: Tried): number {
  return tried ?? attempt;
}
