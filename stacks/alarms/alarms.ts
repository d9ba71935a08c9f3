import { logicalName } from "../compute/functions.ts";
import type { EndpointEntry, ScheduleEntry, SocketEntry } from "../compute/functions-file.ts";
import type { Stage } from "../stage.ts";
import type { Queues } from "../storage/queues.ts";
import { buildAlarms } from "./alarm-list.ts";

type Text = $util.Input<string>;

export interface Alarm {
  readonly description: string;
  readonly namespace: string;
  readonly metric: string;
  readonly dimensions?: Readonly<Record<string, Text>>;
  readonly statistic?: "Maximum";
  readonly periodMinutes?: number;
  readonly threshold: number;
  /** If false, no mail reports the end of the alarm. */
  readonly tellsEnd?: false;
}

export interface Monitored {
  readonly queues: Queues;
  readonly deadLetterQueues: Readonly<Record<string, sst.aws.Queue>>;
  readonly schedules: ReadonlyMap<ScheduleEntry, sst.aws.Function>;
  readonly apiId: Text;
  readonly edge: aws.cloudfront.Distribution;
  readonly urls: ReadonlyMap<EndpointEntry, sst.aws.Function>;
  readonly sockets: ReadonlyMap<SocketEntry, sst.aws.Function>;
}

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
    // Missing data also fires, as in a new stage's first minutes. The edge takes CloudFront longer than that.
    const options = { dependsOn: [monitored.edge] };
    const missed = missedSweepArguments(name, description);
    new aws.cloudwatch.MetricAlarm(`${logicalName(entry)}MissedAlarm`, { ...missed, ...actions }, options);
  }
  const { alarmEmail, monthlyBudgetUsd } = stage;
  if (monthlyBudgetUsd !== undefined && alarmEmail !== undefined) makeBudget(monthlyBudgetUsd, alarmEmail);
}

/** Creates a topic that mails to ALARM_EMAIL. CloudWatch lets an alarm notify topics of the same region only. */
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

const missedSweeps: Readonly<Record<string, string>> = {
  "schedules/auto-stop":
    "auto-stop was not done for two minutes: environments, users and pools that fell due without a message wait.",
  "schedules/disk-retention":
    "disk-retention was not done for two minutes: disks that fell due without a message wait, and are not purged.",
};

/** Counts successful calls. Missing data also fires, because an uncalled sweep has no metric. */
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

/** Covers the whole account: Berth's share needs cost allocation tags, which the owner must activate first. */
function makeBudget(monthlyBudgetUsd: number, alarmEmail: string): void {
  new aws.budgets.Budget("Budget", {
    budgetType: "COST",
    timeUnit: "MONTHLY",
    limitAmount: String(monthlyBudgetUsd),
    limitUnit: "USD",
    notifications: ["ACTUAL", "FORECASTED"].map((notificationType) => ({
      notificationType,
      comparisonOperator: "GREATER_THAN",
      threshold: 100,
      thresholdType: "PERCENTAGE",
      subscriberEmailAddresses: [alarmEmail],
    })),
  });
}
