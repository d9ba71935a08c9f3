import { type AlarmedErrorEvent, alarmedErrorEvents } from "#core/ports/error-events.ts";
import type { Alarm } from "./alarms.ts";

/**
 * Returns one alarm per error event, by metric name. They do not announce their end: without further lines a lost
 * disk is still lost.
 */
export function errorAlarms(namespace: string): Record<string, Alarm> {
  return Object.fromEntries(
    [...alarmedErrorEvents()].map(([event, { metric, threshold = 0 }]) => {
      const description = `${texts[event as AlarmedErrorEvent]} Search the logs for "${event}"; docs/operate.md explains it.`;
      return [metric, { description, namespace, metric, threshold, tellsEnd: false }];
    }),
  );
}

const texts: Readonly<Record<AlarmedErrorEvent, string>> = {
  "a backup is gone": "A disk's backup is gone. An older one was restored.",
  "a disk's volume is gone": "A disk's volume is gone. Its newest backup took its place.",
  "a volume that no record holds is attached": "A machine uses a volume that no record names.",
  "audit record not completed": "The outcome of an operator's call is missing from the audit.",
  "batch failed": "Whole batches of looks fail and are repeated.",
  "capacity listed too slowly":
    "The cluster's list of machines and pods takes over 40 s. No machine comes or goes until it is faster.",
  "capacity not readable": "Records that cannot be read have held capacity for over ten minutes.",
  "clock wrong": "The clock of a worker is wrong by 3 s or more. From 7 s on the worker does no work.",
  "delivery cannot be sent": "A webhook event could not be prepared.",
  "directory of disks made again": "The list of a user's disks was lost and rebuilt.",
  "disk lost": "A disk has neither a volume nor a backup.",
  "disk not backed up": "A disk has no current backup.",
  "disk not purged": "Parts of a deleted disk cannot be removed.",
  "due where no sweep looks": "Somebody edited the due time of a record, or the clock of a worker was wrong.",
  "frame failed": "Frames of web shells fail and are repeated.",
  "frame not given back": "Failed frames of web shells are repeated late, because the queue did not take them back.",
  "ledger item lost": "A machine has no ledger item, so nothing is granted on it.",
  "ledger not written": "The table refused ledger items.",
  "look failed": "Looks fail and are repeated.",
  "message names no delivery": "A webhook message names no delivery.",
  "poisoned record": "A record cannot be read, or cannot be written as it must be.",
  "request failed": "Requests fail with 500 or 503.",
  "schedule failed": "Calls of schedules fail.",
  "shell failed": "Commands of web shells fail.",
  "snapshot failed": "EBS did not finish a backup. It is made again.",
  "snapshot forgotten": "A disk has too many backups that cannot be removed.",
  "snapshot not removed": "A backup could not be removed five times.",
  "stops for too long": "An environment has been stopping for 15 minutes.",
  stuck: "Ten steps of one record in a row have failed.",
  "the record of a disk is missing": "A disk has a name but no record.",
  "too many orphans to remove": "More than 20 runs have no record, so none was removed. The table may be wrong.",
  "unknown event": "Functions receive events that they cannot read.",
  "unknown key in message": "A message names a key that this version does not know.",
  "unreadable messages": "Messages cannot be read, and were dropped.",
  "unreadable record": "A record cannot be read.",
  "volumes not removed": "Volumes of an environment could not be removed for 15 minutes.",
};
