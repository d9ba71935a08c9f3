export interface ErrorEventAlarm {
  /** Names the CloudWatch metric that counts the event. Its alarm has the same name. */
  readonly metric: string;
  /** Names the field that holds how many failures one line reports. Each line counts as one if it is absent. */
  readonly countField?: string;
  /** The alarm fires when more than this many are counted in five minutes. Zero if absent. */
  readonly threshold?: number;
}

/**
 * Lists every event that is logged as an error. `Log.error` accepts no other event, so each one gets a metric
 * (packages/lambda/metrics.ts), an alarm (stacks/alarms/alarms.ts) and a row in docs/operate.md#a-job-that-hangs.
 */
export const errorEvents = {
  "a backup is gone": { metric: "BackupsGone" },
  "a disk's volume is gone": {
    metric: "VolumesGone",
  },
  "a volume that no record holds is attached": {
    metric: "VolumesWithoutRecord",
  },
  "audit record not completed": {
    metric: "AuditRecordsIncomplete",
  },
  "batch failed": {
    metric: "BatchLooksFailed",
    countField: "looks",
    threshold: 20,
  },
  "capacity listed too slowly": {
    metric: "CapacityListedTooSlowly",
  },
  "capacity not readable": {
    metric: "CapacityUnreadable",
  },
  "clock wrong": {
    metric: "ClocksWrong",
  },
  "delivery cannot be sent": { metric: "DeliveriesUnsendable" },
  "directory of disks made again": {
    metric: "DiskDirectoriesRebuilt",
  },
  "disk lost": { metric: "DisksLost" },
  "disk not backed up": { metric: "DisksNotBackedUp" },
  "disk not purged": { metric: "DisksNotPurged" },
  "due where no sweep looks": {
    metric: "DueFieldsEdited",
  },
  "frame failed": { metric: "FramesFailed", threshold: 5 },
  "frame not given back": {
    metric: "FramesNotReturned",
    threshold: 5,
  },
  "ledger item lost": { metric: "LedgerItemsLost" },
  "ledger not written": { metric: "LedgerWritesFailed" },
  "look failed": { metric: "LooksFailed", threshold: 20 },
  "message names no delivery": { metric: "DeliveryMessagesUnknown" },
  "page failed": { localOnly: true },
  "terminal failed": { localOnly: true },
  "poisoned record": {
    metric: "RecordsPoisoned",
  },
  "request failed": { metric: "RequestsFailed", threshold: 5 },
  "schedule failed": { metric: "SchedulesFailed", threshold: 2 },
  "shell failed": { metric: "ShellCommandsFailed", threshold: 5 },
  "snapshot failed": { metric: "SnapshotsFailed" },
  "snapshot forgotten": { metric: "SnapshotsForgotten" },
  "snapshot not removed": { metric: "SnapshotsNotRemoved" },
  "stops for too long": { metric: "StopsTooLong" },
  stuck: { metric: "RecordsStuck" },
  "the record of a disk is missing": { metric: "DiskRecordsMissing" },
  "too many orphans to remove": {
    metric: "OrphansNotRemoved",
  },
  "unknown event": { metric: "EventsUnknown", threshold: 5 },
  "unknown key in message": {
    metric: "MessageKeysUnknown",
  },
  "unreadable messages": {
    metric: "MessagesUnreadable",
    countField: "count",
  },
  "unreadable record": { metric: "RecordsUnreadable" },
  "unreadable record of a run": { localOnly: true },
  "volumes not removed": {
    metric: "VolumesNotRemoved",
  },
} as const satisfies Readonly<Record<string, ErrorEventAlarm | { readonly localOnly: true }>>;

export type ErrorEvent = keyof typeof errorEvents;

/** An error event that functions on AWS log, so it has an alarm. */
export type AlarmedErrorEvent = {
  [event in ErrorEvent]: (typeof errorEvents)[event] extends { readonly metric: string } ? event : never;
}[ErrorEvent];

/** Returns the events that functions on AWS log, with their alarms. Only the local stack logs the others. */
export function alarmedErrorEvents(): ReadonlyMap<string, ErrorEventAlarm> {
  const entries: readonly [string, ErrorEventAlarm | { readonly localOnly: true }][] = Object.entries(errorEvents);
  return new Map(entries.flatMap(([event, alarm]) => ("metric" in alarm ? [[event, alarm] as const] : [])));
}
