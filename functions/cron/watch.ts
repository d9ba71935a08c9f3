import { followChanges, WATCH_MINUTES } from "#core/watch.ts";
import { cron } from "#http/cron.ts";

/** Passes on what the cluster says has changed; the next one is there before this one ends. */
export const schedule = cron.every(
  { minutes: WATCH_MINUTES, atStart: true, uses: ["table", "queue", "compute"], timeoutSeconds: 720 },
  followChanges,
);
