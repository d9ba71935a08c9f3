import type { Stage } from "../stage.ts";
import { makeTopic } from "./alarms.ts";

/** Route 53 checks from three regions at least ("How Amazon Route 53 determines whether a health check is healthy"). */
const FROM_REGIONS = ["us-east-1", "eu-west-1", "ap-southeast-1"];

/** Where Route 53 keeps its metrics, wherever the stage is ("Monitoring health checks using CloudWatch"). */
const METRICS_REGION = "us-east-1";

/**
 * Asks `/health` through the edge every half minute, as a client would. Every other alarm looks at one part from inside
 * and stays green when the edge, its certificate, its firewall or its secret keeps everybody out.
 *
 * It costs about 4 $ a month: 2.75 $ for an HTTPS check of an address that Route 53 does not know as AWS's, and the rest
 * for half a million requests.
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
    // A missing check is as bad as a failing one.
    treatMissingData: "breaching",
    alarmActions: [topic.arn],
    okActions: [topic.arn],
  });
}
