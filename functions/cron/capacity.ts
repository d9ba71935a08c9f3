import { refreshCapacity } from "#core/pools/capacity.ts";
import { cron } from "#http/cron.ts";

/** Compares the machines that exist with what the ledgers say. */
export const schedule = cron.every({ minutes: 1, atStart: true, uses: ["table", "queue", "compute"] }, refreshCapacity);
