import { makeBudget } from "./budget.ts";
import { errorAlarms } from "./error-alarms.ts";
import { logicalName, metricsNamespace } from "./functions.ts";
import type { EndpointEntry, FunctionEntry, QueueName, ScheduleEntry, SocketEntry } from "./functions-file.ts";
import { capitalize } from "./names.ts";
import type { Queues } from "./queues.ts";
import type { Stage } from "./stage.ts";

type Text = $util.Input<string>;

/** An alarm that fires when the statistic of a metric over a period is greater than the threshold. */
export interface Alarm {
  readonly description: string;
  readonly namespace: string;
  readonly metric: string;
  readonly dimensions?: Readonly<Record<string, Text>>;
  /** `Sum` unless it says otherwise. */
  readonly statistic?: "Maximum";
  /** 5 unless it says otherwise. */
  readonly periodMinutes?: number;
  readonly threshold: number;
  /** A mail also tells when the alarm is over, unless this is false. */
  readonly tellsEnd?: false;
}

/** What alarms and the dashboard show of a deployment. */
export interface Monitored {
  readonly queues: Queues;
  /** By the name of the queue that they belong to; `schedules` is that of EventBridge Scheduler. */
  readonly deadLetterQueues: Readonly<Record<string, sst.aws.Queue>>;
  /** The function of each schedule. */
  readonly schedules: ReadonlyMap<ScheduleEntry, sst.aws.Function>;
  readonly apiId: Text;
  /** The functions behind URLs of their own. */
  readonly urls: ReadonlyMap<EndpointEntry, sst.aws.Function>;
  /** Those of WebSocket APIs. */
  readonly sockets: ReadonlyMap<SocketEntry, sst.aws.Function>;
}

/**
 * An alarm fires when the oldest message of a queue is older than this. A message of a pool means that somebody waits
 * for a free machine. Messages in flight count too (SQS Developer Guide, "Available CloudWatch metrics"): a command of
 * the web shell may take all of its function's 900 s, and another one waits behind it.
 */
const oldestMessageSeconds: Readonly<Record<QueueName, number>> = {
  work: 300,
  pools: 120,
  webhooks: 900,
  shell: 1_800,
};

/** Half of the 100 that EBS allows an account in a region ("Amazon EBS endpoints and quotas", pending snapshots). */
const MOST_PENDING_SNAPSHOTS = 50;

/** All alarms go to one topic, and from there to ALARM_EMAIL. */
export function makeAlarms(stage: Stage, monitored: Monitored): void {
  const topic = makeTopic("Alarms", stage);
  const actions = { alarmActions: [topic.arn], okActions: [topic.arn] };
  for (const [name, alarm] of Object.entries(alarmsOf(stage, monitored))) {
    const told = alarm.tellsEnd === false ? { alarmActions: [topic.arn] } : actions;
    new aws.cloudwatch.MetricAlarm(`${name}Alarm`, { ...argumentsOf(alarm), ...told });
  }
  for (const [entry, { name }] of monitored.schedules) {
    if (entry.name !== "cron/sweep") continue;
    new aws.cloudwatch.MetricAlarm("SweepAlarm", { ...missedSweepArguments(name), ...actions });
  }
  const { alarmEmail, monthlyBudgetUsd } = stage;
  if (monthlyBudgetUsd !== undefined && alarmEmail !== undefined) makeBudget(monthlyBudgetUsd, alarmEmail);
}

/** Creates a topic whose messages are mailed to ALARM_EMAIL. An alarm reaches only topics of its own region. */
function makeTopic(name: string, { alarmEmail }: Stage, region?: string): aws.sns.Topic {
  const place = region === undefined ? {} : { region };
  const topic = new aws.sns.Topic(name, place);
  if (alarmEmail !== undefined) {
    const mail = { topic: topic.arn, protocol: "email", endpoint: alarmEmail };
    new aws.sns.TopicSubscription(`${name}Mail`, { ...mail, ...place });
  }
  return topic;
}

function alarmsOf(
  stage: Stage,
  { queues, deadLetterQueues, schedules, urls, sockets, apiId }: Monitored,
): Record<string, Alarm> {
  const namespace = metricsNamespace(stage);
  const ofTable = { namespace: "AWS/DynamoDB", dimensions: { TableName: stage.tableName }, threshold: 0 };
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
    SendsFailed: {
      description:
        'Messages were not sent, and what they named waits for the sweep: search the logs for "send failed".',
      namespace,
      metric: "SendsFailed",
      threshold: 5,
    },
    ...errorAlarms(namespace),
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
    // Counts functions too that ended without an answer, and so without a line in the log.
    Api5xx: {
      description: "The HTTP API answered with 5xx.",
      namespace: "AWS/ApiGateway",
      metric: "5xx",
      dimensions: { ApiId: apiId },
      threshold: 5,
    },
    // Without a dimension the metric is of the account, whose functions share one concurrency.
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

/** One for each function, by its name and what the alarm tells of. */
function alarmsOfEach<Entry extends FunctionEntry>(
  made: ReadonlyMap<Entry, sst.aws.Function>,
  what: string,
  alarmOf: (entry: Entry, made: sst.aws.Function) => Alarm,
): Record<string, Alarm> {
  return Object.fromEntries([...made].map(([entry, each]) => [`${logicalName(entry)}${what}`, alarmOf(entry, each)]));
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

/** As that of the HTTP API, which counts nothing of what goes to a function by its URL. */
function urlAlarm(entry: EndpointEntry, { name }: sst.aws.Function): Alarm {
  return {
    description: `${entry.name} answered with 5xx, or ended without an answer.`,
    namespace: "AWS/Lambda",
    metric: "Url5xxCount",
    dimensions: { FunctionName: name },
    threshold: 5,
  };
}

/** No log line of ours says that a call ended without an answer. */
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

/** More than every third call of at least three: the next call makes good for most causes of a single failure. */
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

function argumentsOf(alarm: Alarm): aws.cloudwatch.MetricAlarmArgs {
  const { description, namespace, metric, dimensions, statistic = "Sum", periodMinutes = 5, threshold } = alarm;
  return {
    alarmDescription: description,
    namespace,
    metricName: metric,
    ...(dimensions && { dimensions }),
    statistic,
    period: 60 * periodMinutes,
    evaluationPeriods: 1,
    comparisonOperator: "GreaterThanThreshold",
    threshold,
    treatMissingData: "notBreaching",
  };
}

/** Counts calls less those that failed. Where nobody calls the sweep there is no metric, and the alarm fires as well. */
function missedSweepArguments(FunctionName: Text): aws.cloudwatch.MetricAlarmArgs {
  const sum = (id: string, metricName: string) => ({
    id,
    metric: { namespace: "AWS/Lambda", metricName, dimensions: { FunctionName }, stat: "Sum", period: 60 },
  });
  const done = { id: "done", expression: "calls - failed", label: "Sweeps that were done", returnData: true };
  return {
    alarmDescription: "No sweep was done for two minutes: what fell due without a message is not looked at.",
    metricQueries: [done, sum("calls", "Invocations"), sum("failed", "Errors")],
    threshold: 1,
    evaluationPeriods: 2,
    comparisonOperator: "LessThanThreshold",
    treatMissingData: "breaching",
  };
}
