import { alarmedErrorEvents } from "#core/ports/error-events.ts";
import type { Log } from "#core/ports/log.ts";
import { type Fields, mapLog } from "#http/log.ts";

interface Counted {
  readonly values: Readonly<Record<string, number>>;
  readonly dimensions?: Readonly<Record<string, string>>;
}

/** Metrics of a function's log lines, by event. A name that ends with Ms is in milliseconds. */
const counters: Readonly<Record<string, (fields: Fields) => Counted>> = {
  request: ({ status, ms }) => ({
    values: { Answers: 1, AnswerMs: Number(ms) },
    dimensions: { Status: `${String(status)[0]}xx` },
  }),
  batch: ({ queue, ms, waited }) => ({
    values: { BatchMs: Number(ms), ...(waited !== undefined && { LagMs: Number(waited) }) },
    dimensions: { Queue: String(queue) },
  }),
  "cluster unreachable": () => ({ values: { ClusterUnreachable: 1 } }),
  "send failed": () => ({ values: { SendsFailed: 1 } }),
  "origin refused": ({ count }) => ({ values: { OriginsRefused: Number(count) } }),
  "machine interrupted": () => ({ values: { MachinesInterrupted: 1 } }),
  "interruption ignored": () => ({ values: { InterruptionsIgnored: 1 } }),
  "snapshots pending": ({ count }) => ({ values: { SnapshotsPending: Number(count) } }),
};

/** Metrics of error events. Some events are warnings first, which are not counted. */
const countedErrors: ReadonlyMap<string, (fields: Fields) => Counted> = new Map(
  [...alarmedErrorEvents()].map(([event, { metric, countField }]) => [
    event,
    (fields) => ({ values: { [metric]: countField === undefined ? 1 : Number(fields[countField]) } }),
  ]),
);

export function writtenMetrics(): ReadonlyMap<string, readonly string[]> {
  const all = [...Object.values(counters), ...countedErrors.values()].map((counted) => counted({ waited: 0 }));
  return new Map(
    all.flatMap(({ values, dimensions = {} }) => Object.keys(values).map((name) => [name, Object.keys(dimensions)])),
  );
}

/** Returns a log whose counted events are CloudWatch metrics too. */
export function countingLog(log: Log, namespace: string | undefined, now: () => number): Log {
  if (namespace === undefined) return log;
  return mapLog(log, (event, fields, level) => {
    const count = level === "error" ? countedErrors.get(event) : ownValue(counters, event);
    const counted = count?.(fields);
    return counted ? { ...fields, ...embedded(counted, namespace, now()) } : fields;
  });
}

function ownValue<Value>(record: Readonly<Record<string, Value>>, name: string): Value | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}

/** Returns a stage's metric namespace: `/berth/dev/schedules/auto-stop` gives `berth/dev`. */
export function formatNamespace(logGroup: string | undefined): string | undefined {
  return /^\/(berth\/[a-z0-9-]+)\//.exec(logGroup ?? "")?.[1];
}

/** Returns the fields that make a line a metric (CloudWatch User Guide, "Specification: Embedded metric format"). */
function embedded({ values, dimensions = {} }: Counted, Namespace: string, Timestamp: number): Fields {
  const Metrics = Object.keys(values).map((Name) => ({ Name, Unit: Name.endsWith("Ms") ? "Milliseconds" : "Count" }));
  const CloudWatchMetrics = [{ Namespace, Dimensions: [Object.keys(dimensions)], Metrics }];
  return { ...dimensions, ...values, _aws: { Timestamp, CloudWatchMetrics } };
}
