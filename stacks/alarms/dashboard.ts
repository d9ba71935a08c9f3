import { alarmedErrorEvents } from "#core/ports/error-events.ts";
import { metricsNamespace } from "../compute/functions.ts";
import type { Stage } from "../stage.ts";
import type { Monitored } from "./alarms.ts";

type Text = $util.Input<string>;

/** Namespace, metric, then name and value of each dimension (CloudWatch API Reference, "Dashboard body"). */
type MetricLine = readonly Text[];

interface Graph {
  readonly title: string;
  readonly stat: "Sum" | "Maximum" | "p50" | "p99";
  readonly lines: readonly MetricLine[];
}

/** Creates a page of a stage's answers, backlogs, failures and throttling. */
export function makeDashboard(stage: Stage, monitored: Monitored): void {
  const region = aws.getRegionOutput().name;
  const widgets = listGraphs(stage, monitored).map(({ title, stat, lines }, at) => ({
    type: "metric",
    x: (at % 3) * 8,
    y: Math.floor(at / 3) * 6,
    width: 8,
    height: 6,
    properties: { title, stat, region, period: 60, view: "timeSeries", metrics: lines },
  }));
  new aws.cloudwatch.Dashboard("Dashboard", {
    dashboardName: stage.tableName,
    dashboardBody: $util.jsonStringify({ widgets }),
  });
}

function listGraphs(stage: Stage, { queues, deadLetterQueues, schedules, apiId }: Monitored): Graph[] {
  const ownName = metricsNamespace(stage);
  const statuses = ["2xx", "3xx", "4xx", "5xx"];
  const ofQueues = (made: Readonly<Record<string, sst.aws.Queue>>, metric: string): MetricLine[] =>
    Object.values(made).map(({ nodes }) => ["AWS/SQS", metric, "QueueName", nodes.queue.name]);
  const ofSchedules = (metric: string): MetricLine[] =>
    [...schedules.values()].map(({ name }) => ["AWS/Lambda", metric, "FunctionName", name]);
  const table = (metric: string): MetricLine => ["AWS/DynamoDB", metric, "TableName", stage.tableName];
  const failures = [
    "SendsFailed",
    "ClusterUnreachable",
    ...[...alarmedErrorEvents().values()].map(({ metric }) => metric),
  ];
  return [
    { title: "Answers", stat: "Sum", lines: statuses.map((status) => [ownName, "Answers", "Status", status]) },
    { title: "Time of an answer, 99th percentile", stat: "p99", lines: [[ownName, "AnswerMs", "Status", "2xx"]] },
    { title: "5xx of the HTTP API", stat: "Sum", lines: [["AWS/ApiGateway", "5xx", "ApiId", apiId]] },
    { title: "Age of the oldest message", stat: "Maximum", lines: ofQueues(queues, "ApproximateAgeOfOldestMessage") },
    {
      title: "In dead-letter queues",
      stat: "Maximum",
      lines: ofQueues(deadLetterQueues, "ApproximateNumberOfMessagesVisible"),
    },
    { title: "Time of a plan, 99th percentile", stat: "p99", lines: [[ownName, "BatchMs", "Queue", "pools"]] },
    { title: "Wait of a look at a pool, 99th percentile", stat: "p99", lines: [[ownName, "LagMs", "Queue", "pools"]] },
    { title: "Failed", stat: "Sum", lines: failures.map((metric) => [ownName, metric]) },
    // Reported every five minutes.
    { title: "Snapshots being made", stat: "Maximum", lines: [[ownName, "SnapshotsPending"]] },
    { title: "Schedules called", stat: "Sum", lines: ofSchedules("Invocations") },
    { title: "Schedules failed", stat: "Sum", lines: ofSchedules("Errors") },
    { title: "Concurrent executions of Lambda", stat: "Maximum", lines: [["AWS/Lambda", "ConcurrentExecutions"]] },
    // Each data point is 0 or 1, so only the sum is a count.
    { title: "Throttled by Lambda", stat: "Sum", lines: [["AWS/Lambda", "Throttles"]] },
    { title: "Table", stat: "Sum", lines: ["ConsumedReadCapacityUnits", "ConsumedWriteCapacityUnits"].map(table) },
  ];
}
