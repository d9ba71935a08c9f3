import { findOrphans } from "#core/admin/orphans.ts";
import { cron } from "#http/cron.ts";

/** Compares what runs in the cluster with the records, for the operator, and removes what nobody wants any more. */
export const schedule = cron.every({ minutes: 5, atStart: true, uses: ["table", "compute"] }, findOrphans);
