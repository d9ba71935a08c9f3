import { readFileSync } from "node:fs";
import { formatNamespace, writtenMetrics } from "#lambda/metrics.ts";
import { logicalName } from "../../stacks/compute/functions.ts";
import type { ScheduleEntry } from "../../stacks/compute/functions-file.ts";
import { type Check, different, differentInOrder, functionIn, ofType } from "./checks.ts";
import type { Resource } from "./synthesize.ts";

const alarmType = "aws:cloudwatch/metricAlarm:MetricAlarm";

export const alarmChecks = {
  alarms(resources, functions) {
    const alarms = ofType(resources, alarmType);
    const topics = ofType(resources, "aws:sns/topic:Topic");
    const mails = ofType(resources, "aws:sns/topicSubscription:TopicSubscription");
    const queues = ofType(resources, "aws:sqs/queue:Queue");
    const queuesWithAlarm = (metric: string) =>
      alarms
        .filter(({ inputs }) => inputs.metricName === metric)
        .map(({ inputs }) => queues.find((queue) => queue.inputs.name === inputs.dimensions?.QueueName)?.name);
    const functionsWithAlarm = (metric: string) =>
      alarms
        .filter(({ inputs }) => inputs.namespace === "AWS/Lambda" && inputs.metricName === metric)
        .map(({ inputs }) => functionIn(inputs.dimensions?.FunctionName));
    const names = queues.map(({ name }) => name);
    const deadLetter = names.filter((name) => name.endsWith("DeadQueue"));
    const others = names.filter((name) => !deadLetter.includes(name));
    return [
      ...different("DLQs with an alarm", queuesWithAlarm("ApproximateNumberOfMessagesVisible"), deadLetter),
      ...different("queues with an alarm of age", queuesWithAlarm("ApproximateAgeOfOldestMessage"), others),
      ...alarms
        .filter(({ inputs }) => inputs.metricName === "ApproximateAgeOfOldestMessage")
        .filter(({ name, inputs }) => !(inputs.threshold > (name === "ShellAgeAlarm" ? 900 : 60)))
        .map(({ name }) => `${name} fires while a message is dealt with`),
      // A function that ends before it answers logs no line to count.
      ...different(
        "function URLs with an alarm",
        functionsWithAlarm("Url5xxCount"),
        functions.filter((entry) => entry.kind === "endpoint" && entry.functionUrl).map(logicalName),
      ),
      ...different(
        "functions with an alarm of errors",
        functionsWithAlarm("Errors"),
        functions.filter(({ kind }) => kind === "schedule" || kind === "socket").map(logicalName),
      ),
      ...alarms
        .filter(({ inputs }) => !topics.some((topic) => reaches(inputs, topic)))
        .map(({ name }) => `${name} tells nobody`),
      ...topics
        .filter(({ name }) => !mails.some(({ inputs }) => inputs.endpoint && inputs.topic?.endsWith(`:${name}`)))
        .map(({ name }) => `the alarms of ${name} reach nobody`),
      ...["SchedulesAutoStop", "SchedulesDiskRetention"].flatMap((name) => sweepProblems(name, alarms)),
      ...functions.flatMap((entry) => (entry.kind === "schedule" ? scheduleProblems(entry, resources) : [])),
      ...alarms.flatMap(({ inputs }) => listMetrics(inputs).flatMap((each) => unknownMetric(each, resources))),
    ];
  },

  /** Each error event of docs/operate.md for AWS, and each counted warning, has an alarm. */
  errorEvents(resources) {
    const alarms = ofType(resources, alarmType);
    const warnings = ["ClusterUnreachable", "OriginsRefused", "SendsFailed", "SnapshotsPending"];
    const missing = warnings.filter((metric) => !alarms.some(({ inputs }) => inputs.metricName === metric));
    const ofWarnings = missing.map((metric) => `${metric} has no alarm`);
    const ofErrors = documentedErrorEvents().flatMap((event) => {
      const found = alarms.filter(({ inputs }) => inputs.alarmDescription.includes(`"${event}"`));
      const [alarm] = found;
      if (!alarm || found.length > 1) return [`"${event}" has ${found.length} alarms`];
      const { statistic, comparisonOperator, threshold, period, evaluationPeriods, okActions } = alarm.inputs;
      return [
        ...differentInOrder(
          alarm.name,
          [statistic, comparisonOperator, period, evaluationPeriods, okActions],
          ["Sum", "GreaterThanThreshold", 300, 1, undefined],
        ),
        ...(threshold >= 0 && threshold <= 20 ? [] : [`${alarm.name} fires after ${threshold}`]),
      ];
    });
    return [...ofWarnings, ...outageProblems(alarms), ...ofErrors];
  },

  dashboard(resources) {
    const [dashboard, ...others] = ofType(resources, "aws:cloudwatch/dashboard:Dashboard");
    if (!dashboard || others.length > 0) return ["there is not one dashboard"];
    const { widgets } = JSON.parse(dashboard.inputs.dashboardBody);
    const metrics: string[][] = widgets.flatMap(({ properties }: Resource["inputs"]) => properties.metrics);
    const cut = metrics.filter((line) => line.length % 2 !== 0 || line.some((part) => !part));
    return [
      ...cut.map((line) => `${line} is not a metric with whole dimensions`),
      ...metrics.flatMap(([namespace = "", name = "", ...dimensions]) =>
        unknownMetric({ namespace, name, dimensions: dimensions.filter((_, at) => at % 2 === 0) }, resources),
      ),
      ...(metrics.length > 10 ? [] : ["the dashboard shows next to nothing"]),
    ];
  },
} as const satisfies Record<string, Check>;

/** The cluster is listed once a minute. The alarm ignores one failed listing and reports an outage of five minutes. */
function outageProblems(alarms: readonly Resource[]): string[] {
  const alarm = alarms.find(({ inputs }) => inputs.metricName === "ClusterUnreachable");
  const { statistic, comparisonOperator, period, threshold } = alarm?.inputs ?? {};
  const wanted = ["Sum", "GreaterThanThreshold", 300];
  return [
    ...differentInOrder("the alarm of an outage", [statistic, comparisonOperator, period], wanted),
    ...(threshold >= 1 && threshold < 5 ? [] : [`the alarm of an outage fires after ${threshold} failed listings`]),
  ];
}

/** Lists the error events in docs/operate.md, except those that no function writes. */
function documentedErrorEvents(): string[] {
  const page = readFileSync(new URL("../../docs/operate.md", import.meta.url), "utf8");
  const rows = page.matchAll(/^\| (`[^|]+`) \| (?:\w+, )?error \| (?!local stack\b)/gm);
  return [...rows].flatMap(([, names = ""]) => [...names.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name));
}

/** An alarm can notify only topics in its region (CloudWatch User Guide, "Notifying users on alarm changes"). */
function reaches({ alarmActions, region }: Resource["inputs"], topic: Resource): boolean {
  return region === topic.inputs.region && Boolean(alarmActions?.[0]?.endsWith(`:${topic.name}`));
}

function sweepProblems(name: string, alarms: readonly Resource[]): string[] {
  const sweep = alarms.find((alarm) => alarm.name === `${name}MissedAlarm`);
  const {
    metricQueries = [],
    treatMissingData,
    comparisonOperator,
    threshold,
    evaluationPeriods,
  } = sweep?.inputs ?? {};
  const found = metricQueries.map(({ id, expression, returnData, metric }: Resource["inputs"]) =>
    metric ? [id, metric.metricName, functionIn(metric.dimensions.FunctionName)] : [id, expression, returnData],
  );
  const wanted = [
    ["done", "calls - failed", true],
    ["calls", "Invocations", name],
    ["failed", "Errors", name],
  ];
  return [
    // The alarm fires without data. The edge takes minutes to deploy, so a new stage's sweeps have run by then.
    ...(sweep?.after.includes("aws:cloudfront/distribution:Distribution Edge")
      ? []
      : [`the first mail of a new stage says that ${name} was not done`]),
    ...differentInOrder(`what the alarm of ${name} counts`, found, wanted),
    ...differentInOrder(
      `the alarm of ${name}`,
      [treatMissingData, comparisonOperator, threshold, evaluationPeriods],
      ["breaching", "LessThanThreshold", 1, 2],
    ),
  ];
}

/** Checks that each schedule's alarm fires before every call in its period has failed. */
function scheduleProblems(entry: ScheduleEntry, resources: readonly Resource[]): string[] {
  const isFor = (arn: unknown) => functionIn(arn) === logicalName(entry);
  const alarm = ofType(resources, alarmType).find(
    ({ inputs }) => inputs.metricName === "Errors" && isFor(inputs.dimensions?.FunctionName),
  );
  if (!alarm) return [`nobody is told when ${entry.name} fails`];
  const { namespace, statistic, comparisonOperator, period, evaluationPeriods, threshold } = alarm.inputs;
  const calls = period / 60 / entry.minutes;
  const repeats = ofType(resources, "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig").find(
    ({ inputs }) => isFor(inputs.functionName),
  );
  return [
    ...differentInOrder(
      alarm.name,
      [namespace, statistic, comparisonOperator, evaluationPeriods],
      ["AWS/Lambda", "Sum", "GreaterThanThreshold", 1],
    ),
    ...(threshold > 0 && threshold < calls - 1 ? [] : [`${alarm.name}: ${threshold} of ${calls} calls`]),
    ...(repeats?.inputs.maximumRetryAttempts === 0 ? [] : [`a call of ${entry.name} fails more than once`]),
  ];
}

interface Metric {
  readonly namespace: string;
  readonly name: string;
  readonly dimensions: readonly string[];
}

function listMetrics(inputs: Resource["inputs"]): Metric[] {
  const queried = inputs.metricQueries?.flatMap(({ metric }: Resource["inputs"]) => (metric ? [metric] : []));
  return (queried ?? [inputs]).map(({ namespace, metricName, dimensions = {} }: Resource["inputs"]) => ({
    namespace,
    name: metricName,
    dimensions: Object.keys(dimensions),
  }));
}

/** Checks that functions write this metric with these dimensions, in the namespace of their logs. */
function unknownMetric({ namespace, name, dimensions }: Metric, resources: readonly Resource[]): string[] {
  if (namespace.startsWith("AWS/")) return [];
  const [lambda] = ofType(resources, "aws:lambda/function:Function");
  const isWritten = String(writtenMetrics().get(name)) === String(dimensions);
  const isOurs = namespace === formatNamespace(lambda?.inputs.loggingConfig.logGroup);
  return isWritten && isOurs ? [] : [`nobody writes ${namespace} ${name} by ${dimensions.join() || "no dimension"}`];
}
