import type { Stage } from "../stage.ts";
import { makeTopic } from "./alarms.ts";

/** Route 53 needs at least three regions ("How Amazon Route 53 determines whether a health check is healthy"). */
const FROM_REGIONS = ["us-east-1", "eu-west-1", "ap-southeast-1"];

/** Route 53 keeps its metrics here for every stage ("Monitoring health checks using CloudWatch"). */
const METRICS_REGION = "us-east-1";

/**
 * Checks `/health` through the edge every half minute. All other alarms look at one part from inside and stay green
 * when the edge, its certificate, its firewall or its secret blocks all clients.
 * It costs about 4 $ a month: 2.75 $ for an HTTPS check of an address outside AWS, and the rest for half a million
 * requests.
 */
export function makeCanary(stage: Stage, edgeName: $util.Input<string>): void {
  const host = stage.domain?.name ?? edgeName;
  const check = new aws.route53.HealthCheck("Canary", {
    type: "HTTPS",
    fqdn: host,
    port: 443,
    resourcePath: "/health",
    requestInterval: 30,
    failureThreshold: 3,
    regions: FROM_REGIONS,
    enableSni: true,
  });
  const topic = makeTopic("EdgeAlarms", stage, METRICS_REGION);
  new aws.cloudwatch.MetricAlarm("CanaryAlarm", {
    region: METRICS_REGION,
    alarmDescription: $util.interpolate`https://${host}/health does not answer 200 through the edge. If the name is new, point it at the distribution.`,
    namespace: "AWS/Route53",
    metricName: "HealthCheckStatus",
    dimensions: { HealthCheckId: check.id },
    statistic: "Minimum",
    period: 60,
    evaluationPeriods: 3,
    comparisonOperator: "LessThanThreshold",
    threshold: 1,
    // A missing check counts as failed.
    treatMissingData: "breaching",
    alarmActions: [topic.arn],
    okActions: [topic.arn],
  });
}
