/** How one error event is counted and alarmed. */
export interface ErrorEventAlarm {
  /** Names the CloudWatch metric that counts the event. Its alarm has the same name. */
  readonly metric: string;
  /** Names the field that holds how many failures one line reports. Each line counts as one if it is absent. */
  readonly countField?: string;
  /** The alarm fires when more than this many are counted in five minutes. Zero if absent. */
  readonly threshold?: number;
  /** Tells the operator what happened. The alarm's mail shows this text. */
  readonly text: string;
}

/**
 * Lists every event that is logged as an error. `Log.error` accepts no other event, so each one gets a metric
 * (packages/lambda/metrics.ts), an alarm (stacks/alarms.ts) and a row in docs/operate.md#a-job-that-hangs.
 */
export const errorEvents = {
  "a backup is gone": { metric: "BackupsGone", text: "A disk's backup is gone. An older one was restored." },
  "a disk's volume is gone": {
    metric: "VolumesGone",
    text: "A disk's volume is gone. Its newest backup took its place.",
  },
  "a volume that no record holds is attached": {
    metric: "VolumesWithoutRecord",
    text: "A machine uses a volume that no record names.",
  },
  "audit record not completed": {
    metric: "AuditRecordsIncomplete",
    text: "The outcome of an operator's call is missing from the audit.",
  },
  "batch failed": {
    metric: "BatchLooksFailed",
    countField: "looks",
    threshold: 20,
    text: "Whole batches of looks fail and are repeated.",
  },
  "capacity listed too slowly": {
    metric: "CapacityListedTooSlowly",
    text: "The cluster's list of machines and pods takes over 40 s. No machine comes or goes until it is faster.",
  },
  "capacity not readable": {
    metric: "CapacityUnreadable",
    text: "Records that cannot be read have held capacity for over ten minutes.",
  },
  "clock wrong": {
    metric: "ClocksWrong",
    text: "The clock of a worker is wrong by 3 s or more. From 7 s on the worker does no work.",
  },
  "delivery cannot be sent": { metric: "DeliveriesUnsendable", text: "A webhook event could not be prepared." },
  "directory of disks made again": {
    metric: "DiskDirectoriesRebuilt",
    text: "The list of a user's disks was lost and rebuilt.",
  },
  "disk lost": { metric: "DisksLost", text: "A disk has neither a volume nor a backup." },
  "disk not backed up": { metric: "DisksNotBackedUp", text: "A disk has no current backup." },
  "disk not purged": { metric: "DisksNotPurged", text: "Parts of a deleted disk cannot be removed." },
  "due where no sweep looks": {
    metric: "DueFieldsEdited",
    text: "Somebody edited the due time of a record, or the clock of a worker was wrong.",
  },
  "frame failed": { metric: "FramesFailed", threshold: 5, text: "Frames of web shells fail and are repeated." },
  "frame not given back": {
    metric: "FramesNotReturned",
    threshold: 5,
    text: "Failed frames of web shells are repeated late, because the queue did not take them back.",
  },
  "ledger item lost": { metric: "LedgerItemsLost", text: "A machine has no ledger item, so nothing is granted on it." },
  "ledger not written": { metric: "LedgerWritesFailed", text: "The table refused ledger items." },
  "look failed": { metric: "LooksFailed", threshold: 20, text: "Looks fail and are repeated." },
  "message names no delivery": { metric: "DeliveryMessagesUnknown", text: "A webhook message names no delivery." },
  "page failed": { localOnly: true },
  "poisoned record": {
    metric: "RecordsPoisoned",
    text: "A record cannot be read, or cannot be written as it must be.",
  },
  "request failed": { metric: "RequestsFailed", threshold: 5, text: "Requests fail with 500 or 503." },
  "schedule failed": { metric: "SchedulesFailed", threshold: 2, text: "Calls of schedules fail." },
  "shell failed": { metric: "ShellCommandsFailed", threshold: 5, text: "Commands of web shells fail." },
  "snapshot failed": { metric: "SnapshotsFailed", text: "EBS did not finish a backup. It is made again." },
  "snapshot forgotten": { metric: "SnapshotsForgotten", text: "A disk has too many backups that cannot be removed." },
  "snapshot not removed": { metric: "SnapshotsNotRemoved", text: "A backup could not be removed five times." },
  "stops for too long": { metric: "StopsTooLong", text: "An environment has been stopping for 15 minutes." },
  stuck: { metric: "RecordsStuck", text: "Ten steps of one record in a row have failed." },
  "the record of a disk is missing": { metric: "DiskRecordsMissing", text: "A disk has a name but no record." },
  "too many orphans to remove": {
    metric: "OrphansNotRemoved",
    text: "More than 20 runs have no record, so none was removed. The table may be wrong.",
  },
  "unknown event": { metric: "EventsUnknown", threshold: 5, text: "Functions receive events that they cannot read." },
  "unknown key in message": {
    metric: "MessageKeysUnknown",
    text: "A message names a key that this version does not know.",
  },
  "unreadable messages": {
    metric: "MessagesUnreadable",
    countField: "count",
    text: "Messages cannot be read, and were dropped.",
  },
  "unreadable record": { metric: "RecordsUnreadable", text: "A record cannot be read." },
  "unreadable record of a run": { localOnly: true },
  "volumes not removed": {
    metric: "VolumesNotRemoved",
    text: "Volumes of an environment could not be removed for 15 minutes.",
  },
} as const satisfies Readonly<Record<string, ErrorEventAlarm | { readonly localOnly: true }>>;

export type ErrorEvent = keyof typeof errorEvents;

/** Returns the events that functions on AWS log, with their alarms. Only the local stack logs the others. */
export function alarmedErrorEvents(): ReadonlyMap<string, ErrorEventAlarm> {
  const entries: readonly [string, ErrorEventAlarm | { readonly localOnly: true }][] = Object.entries(errorEvents);
  return new Map(entries.flatMap(([event, alarm]) => ("metric" in alarm ? [[event, alarm] as const] : [])));
}
