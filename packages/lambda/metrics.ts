import type { Log } from "#core/ports/log.ts";
import { type Fields, mapLog } from "#http/log.ts";

interface Counted {
  readonly values: Readonly<Record<string, number>>;
  readonly dimensions?: Readonly<Record<string, string>>;
}

/**
 * The metrics that a function's log lines count, by the events of the lines. A name that ends with Ms is of
 * milliseconds.
 */
const countedOf: Readonly<Record<string, (fields: Fields) => Counted>> = {
  request: ({ status, ms }) => ({
    values: { Answers: 1, AnswerMs: Number(ms) },
    dimensions: { Status: `${String(status)[0]}xx` },
  }),
  batch: ({ queue, ms, waited }) => ({
    values: { BatchMs: Number(ms), ...(waited !== undefined && { LagMs: Number(waited) }) },
    dimensions: { Queue: String(queue) },
  }),
  "look failed": () => ({ values: { LooksFailed: 1 } }),
  "batch failed": ({ looks }) => ({ values: { LooksFailed: Number(looks) } }),
  "unreadable messages": ({ count }) => ({ values: { MessagesUnreadable: Number(count) } }),
  "send failed": () => ({ values: { SendsFailed: 1 } }),
  "poisoned record": () => ({ values: { RecordsPoisoned: 1 } }),
  "snapshots pending": ({ count }) => ({ values: { SnapshotsPending: Number(count) } }),
  "schedule failed": () => ({ values: { SchedulesFailed: 1 } }),
};

/** The metrics that functions may write, by their names, with the names of their dimensions. */
export function writtenMetrics(): ReadonlyMap<string, readonly string[]> {
  const all = Object.values(countedOf).map((counted) => counted({ waited: 0 }));
  return new Map(
    all.flatMap(({ values, dimensions = {} }) => Object.keys(values).map((name) => [name, Object.keys(dimensions)])),
  );
}

/** The same log, whose lines are metrics of CloudWatch too where their events are counted. */
export function countingLog(log: Log, namespace: string | undefined, now: () => number): Log {
  if (namespace === undefined) return log;
  return mapLog(log, (event, fields) => {
    const counted = Object.hasOwn(countedOf, event) ? countedOf[event]?.(fields) : undefined;
    return counted ? { ...fields, ...embedded(counted, namespace, now()) } : fields;
  });
}

/**
 * The namespace of a stage, of the name of a function's log group: `/berth/dev/cron/sweep` counts in `berth/dev`
 * (stacks/functions.ts).
 */
export function namespaceOf(logGroup: string | undefined): string | undefined {
  return /^\/(berth\/[a-z0-9-]+)\//.exec(logGroup ?? "")?.[1];
}

/** What makes a line a metric (CloudWatch User Guide, "Specification: Embedded metric format"). */
function embedded({ values, dimensions = {} }: Counted, Namespace: string, Timestamp: number): Fields {
  const Metrics = Object.keys(values).map((Name) => ({ Name, Unit: Name.endsWith("Ms") ? "Milliseconds" : "Count" }));
  const CloudWatchMetrics = [{ Namespace, Dimensions: [Object.keys(dimensions)], Metrics }];
  return { ...dimensions, ...values, _aws: { Timestamp, CloudWatchMetrics } };
}
