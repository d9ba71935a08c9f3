import { MOST_LOGINS } from "../packages/core/users/login-count.ts";
import type { FunctionsFile } from "./functions-file.ts";
import type { Stage } from "./stage.ts";

const WINDOW_SECONDS = 60;

/** What the edge lets nobody do too often: to log in, which asks STS. The answer is of the dialect's form. */
export function makeFirewall({ tableName }: Stage, functions: FunctionsFile): aws.wafv2.WebAcl {
  const login = functions.find(({ name }) => name === "gpu-dev/auth/aws-login");
  if (login?.kind !== "endpoint") throw new Error("functions.json has no log-in");
  const seen = (metricName: string) => ({
    cloudwatchMetricsEnabled: true,
    metricName,
    // The sample that an operator can look at holds paths, and so keys.
    sampledRequestsEnabled: false,
  });
  return new aws.wafv2.WebAcl("Firewall", {
    // What is of CloudFront is made there, wherever the stage is.
    region: "us-east-1",
    scope: "CLOUDFRONT",
    defaultAction: { allow: {} },
    visibilityConfig: seen(tableName),
    customResponseBodies: [
      { key: "too-many", contentType: "APPLICATION_JSON", content: JSON.stringify({ detail: "Too many requests" }) },
    ],
    rules: [
      {
        name: "logins",
        priority: 0,
        visibilityConfig: seen(`${tableName}-logins`),
        statement: {
          rateBasedStatement: {
            limit: MOST_LOGINS,
            evaluationWindowSec: WINDOW_SECONDS,
            aggregateKeyType: "IP",
            scopeDownStatement: {
              byteMatchStatement: {
                // A key may stand in front of the path, and any of its characters may be escaped.
                searchString: login.path,
                positionalConstraint: "ENDS_WITH",
                fieldToMatch: { uriPath: {} },
                // It counts /v1/./auth/aws-login too, whatever an origin makes of dot segments and doubled slashes.
                textTransformations: [
                  { priority: 0, type: "URL_DECODE" },
                  { priority: 1, type: "NORMALIZE_PATH" },
                ],
              },
            },
          },
        },
        action: {
          block: {
            customResponse: {
              responseCode: 429,
              customResponseBodyKey: "too-many",
              responseHeaders: [{ name: "retry-after", value: String(WINDOW_SECONDS) }],
            },
          },
        },
      },
    ],
  });
}
