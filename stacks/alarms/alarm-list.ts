import { logicalName, metricsNamespace } from "../compute/functions.ts";
import {
  capitalize,
  type EndpointEntry,
  type FunctionEntry,
  type QueueName,
  type ScheduleEntry,
  type SocketEntry,
} from "../compute/functions-file.ts";
import type { Stage } from "../stage.ts";
import type { Alarm, Monitored } from "./alarms.ts";
import { errorAlarms } from "./error-alarms.ts";

/**
 * Age of a queue's oldest message that raises an alarm. A message of a pool means that a job waits for a free
 * machine. Messages in flight count too (SQS Developer Guide, "Available CloudWatch metrics"): a web shell command
 * may take all of its function's 900 s while another waits.
 */
const oldestMessageSeconds: Readonly<Record<QueueName, number>> = {
  work: 300,
  pools: 120,
  webhooks: 900,
  shell: 1_800,
};

/** Half of the 100 that EBS allows an account in a region ("Amazon EBS endpoints and quotas", pending snapshots). */
const MOST_PENDING_SNAPSHOTS = 50;

/**
 * Internet scanners sometimes find the address behind the edge. A wrong secret shows as about 60 refusals in five
 * minutes, only from the canary (canary.ts).
 */
const MOST_REFUSED_ORIGINS = 20;

/** Of the five listings in five minutes that the schedule `capacity` makes. */
const MOST_FAILED_LISTINGS = 3;

/** Returns the alarms of a stage by name, except those of missed sweeps and the canary. */
export function buildAlarms(
  stage: Stage,
  { queues, deadLetterQueues, schedules, urls, sockets, apiId }: Monitored,
): Record<string, Alarm> {
  const namespace = metricsNamespace(stage);
  return {
    ...Object.fromEntries(
      Object.entries(deadLetterQueues).map(([name, queue]) => [
        `${capitalize(name)}Dead`,
        deadLetterAlarm(name, queue),
      ]),
    ),
    ...Object.fromEntries(
      Object.entries(queues).map(([name, queue]) => [`${capitalize(name)}Age`, ageAlarm(name as QueueName, queue)]),
    ),
    ...alarmsOfEach(schedules, "Errors", scheduleErrorsAlarm),
    ...alarmsOfEach(urls, "5xx", urlAlarm),
    ...alarmsOfEach(sockets, "Errors", socketAlarm),
    ...alarmsOfLogs(namespace),
    ...errorAlarms(namespace),
    ...alarmsOfAws(stage, apiId),
  };
}

/** Returns the alarms of the metrics that Berth's functions log. */
function alarmsOfLogs(namespace: string): Record<string, Alarm> {
  return {
    SendsFailed: {
      description:
        'Messages were not sent, and what they named waits for the sweep: search the logs for "send failed".',
      namespace,
      metric: "SendsFailed",
      threshold: 5,
    },
    OriginsRefused: {
      description:
        "Requests came without the edge's secret: it was exchanged in the wrong order (docs/deploy.md), or somebody calls the address behind the edge.",
      namespace,
      metric: "OriginsRefused",
      threshold: MOST_REFUSED_ORIGINS,
    },
    ClusterUnreachable: {
      description:
        'The cluster does not answer. Jobs neither start nor end there: search the logs for "cluster unreachable"; docs/operate.md explains it.',
      namespace,
      metric: "ClusterUnreachable",
      threshold: MOST_FAILED_LISTINGS,
    },
    SnapshotsPending: {
      description: "So many snapshots of EBS are pending that the account's limit is near: see Service Quotas, EBS.",
      namespace,
      metric: "SnapshotsPending",
      statistic: "Maximum",
      threshold: MOST_PENDING_SNAPSHOTS,
    },
    Answers5xx: {
      description: "Functions answered with 5xx.",
      namespace,
      metric: "Answers",
      dimensions: { Status: "5xx" },
      threshold: 5,
    },
  };
}

/** Returns the alarms of the metrics that AWS keeps. */
function alarmsOfAws(stage: Stage, apiId: Monitored["apiId"]): Record<string, Alarm> {
  const ofTable = { namespace: "AWS/DynamoDB", dimensions: { TableName: stage.tableName }, threshold: 0 };
  return {
    // Includes functions that ended without an answer, which log nothing.
    Api5xx: {
      description: "The HTTP API answered with 5xx.",
      namespace: "AWS/ApiGateway",
      metric: "5xx",
      dimensions: { ApiId: apiId },
      threshold: 5,
    },
    // Without a dimension the metric covers the account, whose functions share one concurrency.
    Throttles: {
      description: "Lambda throttles functions of this account.",
      namespace: "AWS/Lambda",
      metric: "Throttles",
      threshold: 0,
    },
    TableReads: { description: "DynamoDB throttles reads of the table.", metric: "ReadThrottleEvents", ...ofTable },
    TableWrites: { description: "DynamoDB throttles writes to the table.", metric: "WriteThrottleEvents", ...ofTable },
  };
}

function alarmsOfEach<Entry extends FunctionEntry>(
  made: ReadonlyMap<Entry, sst.aws.Function>,
  subject: string,
  getAlarm: (entry: Entry, made: sst.aws.Function) => Alarm,
): Record<string, Alarm> {
  return Object.fromEntries(
    [...made].map(([entry, each]) => [`${logicalName(entry)}${subject}`, getAlarm(entry, each)]),
  );
}

function deadLetterAlarm(name: string, queue: sst.aws.Queue): Alarm {
  return {
    ...ofQueue(queue),
    description: `The dead-letter queue of ${name} holds messages: see docs/deploy.md.`,
    metric: "ApproximateNumberOfMessagesVisible",
    threshold: 0,
  };
}

function ageAlarm(name: QueueName, queue: sst.aws.Queue): Alarm {
  return {
    ...ofQueue(queue),
    description: `A message of ${name} waits for a consumer.`,
    metric: "ApproximateAgeOfOldestMessage",
    threshold: oldestMessageSeconds[name],
  };
}

/** Mirrors the alarm of the HTTP API, which does not count calls of a function URL. */
function urlAlarm(entry: EndpointEntry, { name }: sst.aws.Function): Alarm {
  return {
    description: `${entry.name} answered with 5xx, or ended without an answer.`,
    namespace: "AWS/Lambda",
    metric: "Url5xxCount",
    dimensions: { FunctionName: name },
    threshold: 5,
  };
}

/** A call that ends without an answer writes no log line. */
function socketAlarm(entry: SocketEntry, { name }: sst.aws.Function): Alarm {
  return {
    description: `${entry.name} ended without an answer: connections are refused, or commands end without a result.`,
    namespace: "AWS/Lambda",
    metric: "Errors",
    dimensions: { FunctionName: name },
    threshold: 5,
  };
}

function ofQueue({ nodes }: sst.aws.Queue): Pick<Alarm, "namespace" | "dimensions" | "statistic" | "periodMinutes"> {
  return {
    namespace: "AWS/SQS",
    dimensions: { QueueName: nodes.queue.name },
    statistic: "Maximum",
    periodMinutes: 1,
  };
}

/** Fires if more than a third of at least three calls fail, because the next call makes up for a single failure. */
function scheduleErrorsAlarm(entry: ScheduleEntry, { name }: sst.aws.Function): Alarm {
  const calls = Math.max(3, Math.floor(15 / entry.minutes));
  return {
    description: `${entry.name} fails again and again, runs out of time, or does not start.`,
    namespace: "AWS/Lambda",
    metric: "Errors",
    dimensions: { FunctionName: name },
    periodMinutes: calls * entry.minutes,
    threshold: Math.floor(calls / 3),
  };
}
