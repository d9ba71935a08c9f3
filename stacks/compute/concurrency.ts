import type { FunctionEntry } from "./functions-file.ts";

/** Of 1,000 of an account, so that four of them leave most of it to what answers at once (docs/deploy.md). */
const MOST_SLOW_CALLS = 50;

/**
 * How many batches of a queue are handled at once. The table and the cluster behind the consumers have limits too.
 */
export const mostBatches = { work: 50, pools: 20, webhooks: 20 } as const;

/** A call and the one before it, which may still run. */
const CALLS_OF_A_SCHEDULE = 2;

/**
 * Returns how many calls of a function may run at the same time. Lambda keeps as many free for it. undefined: it shares
 * what the account has left.
 *
 * Two kinds of functions need a reservation. A call behind a function URL runs a command for minutes, and a user may make
 * any number of such calls: without a bound they would take all that the account has. Looks, plans and schedules end
 * jobs and free their GPUs: without a reservation a flood of requests would leave them nothing.
 */
export function reservedConcurrency(entry: FunctionEntry): number | undefined {
  switch (entry.kind) {
    case "endpoint":
      return entry.functionUrl ? MOST_SLOW_CALLS : undefined;
    case "consumer":
      // Webhooks end no job: they share the rest with requests.
      return entry.queue === "webhooks" ? undefined : mostBatches[entry.queue];
    case "schedule":
      return CALLS_OF_A_SCHEDULE;
    default:
      return undefined;
  }
}

/** Reports whether the next call of a schedule begins before the last one has ended. */
export function runsAllTheTime(entry: FunctionEntry): boolean {
  return entry.kind === "schedule" && entry.timeoutSeconds > entry.minutes * 60;
}
