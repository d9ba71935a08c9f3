import type { FunctionEntry } from "./functions-file.ts";

/** Four such functions leave most of an account's 1,000 concurrent calls to quick requests (docs/deploy.md). */
const MOST_SLOW_CALLS = 50;

/** Concurrent batches per queue. The table and the cluster behind the consumers have limits too. */
export const mostBatches = { work: 50, pools: 20, webhooks: 20 } as const;

/** A call and the one before it, which may still run. */
const CALLS_OF_A_SCHEDULE = 2;

/**
 * Returns the reserved concurrency of a function, which is both a bound and a guarantee. Undefined: it shares the
 * account's rest.
 * A call behind a function URL runs a command for minutes: without a bound, one user could take the account's whole
 * concurrency. Reconciles, plans and schedules end jobs and free their GPUs: without a guarantee, a flood of requests
 * would starve them.
 */
export function reservedConcurrency(entry: FunctionEntry): number | undefined {
  switch (entry.kind) {
    case "endpoint":
      return entry.functionUrl ? MOST_SLOW_CALLS : undefined;
    case "consumer":
      // Webhooks end no job, so they share the rest with requests.
      return entry.queue === "webhooks" ? undefined : mostBatches[entry.queue];
    case "schedule":
      return CALLS_OF_A_SCHEDULE;
    default:
      return undefined;
  }
}
