import { logicalName } from "../compute/functions.ts";
import type { EndpointEntry, ScheduleEntry, SocketEntry } from "../compute/functions-file.ts";
import type { Stage } from "../stage.ts";
import type { Queues } from "../storage/queues.ts";
import { buildAlarms } from "./alarm-list.ts";
import { makeBudget } from "./budget.ts";

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

/** The parts of a deployment that alarms and the dashboard show. */
export interface Monitored {
  readonly queues: Queues;
  /** By the name of the queue that they belong to; `schedules` is that of EventBridge Scheduler. */
  readonly deadLetterQueues: Readonly<Record<string, sst.aws.Queue>>;
  /** The function of each schedule. */
  readonly schedules: ReadonlyMap<ScheduleEntry, sst.aws.Function>;
  readonly apiId: Text;
  readonly edge: aws.cloudfront.Distribution;
  /** The functions behind URLs of their own. */
  readonly urls: ReadonlyMap<EndpointEntry, sst.aws.Function>;
  /** The functions of WebSocket APIs. */
  readonly sockets: ReadonlyMap<SocketEntry, sst.aws.Function>;
}

/** All alarms of the stage's region go to one topic, and from there to ALARM_EMAIL. */
export function makeAlarms(stage: Stage, monitored: Monitored): void {
  const topic = makeTopic("Alarms", stage);
  const actions = { alarmActions: [topic.arn], okActions: [topic.arn] };
  for (const [name, alarm] of Object.entries(buildAlarms(stage, monitored))) {
    const told = alarm.tellsEnd === false ? { alarmActions: [topic.arn] } : actions;
    new aws.cloudwatch.MetricAlarm(`${name}Alarm`, { ...getArguments(alarm), ...told });
  }
  for (const [entry, { name }] of monitored.schedules) {
    const description = missedSweeps[entry.name];
    if (description === undefined) continue;
    // It also fires without any data, as in a new stage's first minutes. The edge takes CloudFront longer than that.
    const options = { dependsOn: [monitored.edge] };
    const missed = missedSweepArguments(name, description);
    new aws.cloudwatch.MetricAlarm(`${logicalName(entry)}MissedAlarm`, { ...missed, ...actions }, options);
  }
  const { alarmEmail, monthlyBudgetUsd } = stage;
  if (monthlyBudgetUsd !== undefined && alarmEmail !== undefined) makeBudget(monthlyBudgetUsd, alarmEmail);
}

/**
 * Creates a topic whose messages are mailed to ALARM_EMAIL. CloudWatch lets an alarm notify topics of the same region
 * only.
 */
export function makeTopic(name: string, { alarmEmail }: Stage, region?: string): aws.sns.Topic {
  const place = region === undefined ? {} : { region };
  const topic = new aws.sns.Topic(name, place);
  if (alarmEmail !== undefined) {
    const mail = { topic: topic.arn, protocol: "email", endpoint: alarmEmail };
    new aws.sns.TopicSubscription(`${name}Mail`, { ...mail, ...place });
  }
  return topic;
}

function getArguments(alarm: Alarm): aws.cloudwatch.MetricAlarmArgs {
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

/** The sweeps whose absence raises an alarm, and its description. */
const missedSweeps: Readonly<Record<string, string>> = {
  "schedules/auto-stop":
    "auto-stop was not done for two minutes: environments, users and pools that fell due without a message wait.",
  "schedules/disk-retention":
    "disk-retention was not done for two minutes: disks that fell due without a message wait, and are not purged.",
};

/**
 * Counts calls less those that failed. The alarm also fires without data, because a sweep that is never called has no
 * metric.
 */
function missedSweepArguments(FunctionName: Text, alarmDescription: string): aws.cloudwatch.MetricAlarmArgs {
  const sum = (id: string, metricName: string) => ({
    id,
    metric: { namespace: "AWS/Lambda", metricName, dimensions: { FunctionName }, stat: "Sum", period: 60 },
  });
  const done = { id: "done", expression: "calls - failed", label: "Sweeps that were done", returnData: true };
  return {
    alarmDescription,
    metricQueries: [done, sum("calls", "Invocations"), sum("failed", "Errors")],
    threshold: 1,
    evaluationPeriods: 2,
    comparisonOperator: "LessThanThreshold",
    treatMissingData: "breaching",
  };
}
