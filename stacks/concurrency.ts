import type { FunctionEntry } from "./functions-file.ts";

/** Of 1,000 of an account, so that four of them leave most of it to what answers at once (docs/deploy.md). */
const MOST_SLOW_CALLS = 50;

/**
 * How many calls of a function run at the same time, at most, which are also kept for it; undefined: as many as the account
 * has left. A call behind a function URL runs a command for minutes, and whoever has a key may make as many as they like:
 * without a bound they would hold all that the account has, and no look or request would start.
 */
export function reservedConcurrency(entry: FunctionEntry): number | undefined {
  if (entry.kind === "endpoint" && entry.functionUrl) return MOST_SLOW_CALLS;
  // A schedule whose next call begins before the last one has ended: the two, and no third.
  return entry.kind === "schedule" && entry.timeoutSeconds > entry.minutes * 60 ? 2 : undefined;
}
