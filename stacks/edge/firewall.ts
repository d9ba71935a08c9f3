import { MOST_LOGINS } from "#core/users/login-count.ts";
import type { FunctionsFile } from "../compute/functions-file.ts";
import type { Stage } from "../stage.ts";

const WINDOW_SECONDS = 60;

/**
 * Requests of one address per minute: 50 a second. An office behind one address polls a few times a second. Ten such
 * addresses reach the API's limit for all clients (api.ts).
 */
const MOST_REQUESTS = 3_000;

/** Endpoints that take the proof of an identity, and so could be used for guesses. */
const LOGINS: readonly string[] = ["gpu-dev/auth/aws-login", "gpu-dev/web/open-session", "gpu-dev/web/show-code"];

/** Limits the rate of logins per address, by AWS or by code, and of all its requests. */
export function makeFirewall(stage: Stage, functions: FunctionsFile): aws.wafv2.WebAcl {
  const logins = functions.filter((entry) => entry.kind === "endpoint").filter(({ name }) => LOGINS.includes(name));
  if (logins.length < LOGINS.length) throw new Error("functions.json lacks a log-in");
  const scope = { orStatement: { statements: logins.map(({ path }) => pathsEndingWith(path)) } };
  return new aws.wafv2.WebAcl("Firewall", {
    // CloudFront accepts web ACLs of this region only.
    region: "us-east-1",
    scope: "CLOUDFRONT",
    defaultAction: { allow: {} },
    visibilityConfig: seen(stage.tableName),
    // The form of gpu-dev's login.
    customResponseBodies: [
      { key: "too-many", contentType: "APPLICATION_JSON", content: JSON.stringify({ detail: "Too many requests" }) },
    ],
    rules: [
      rateRule(stage, { name: "logins", priority: 0, limit: MOST_LOGINS, scope }),
      rateRule(stage, { name: "requests", priority: 1, limit: MOST_REQUESTS }),
    ],
  });
}

interface RateRule {
  readonly name: string;
  readonly priority: number;
  readonly limit: number;
  readonly scope?: aws.types.input.wafv2.WebAclRuleStatementRateBasedStatementScopeDownStatement;
}

function rateRule({ tableName }: Stage, { name, priority, limit, scope }: RateRule) {
  return {
    name,
    priority,
    visibilityConfig: seen(`${tableName}-${name}`),
    statement: {
      rateBasedStatement: {
        limit,
        evaluationWindowSec: WINDOW_SECONDS,
        aggregateKeyType: "IP",
        ...(scope && { scopeDownStatement: scope }),
      },
    },
    action: {
      block: {
        customResponse: {
          responseCode: 429,
          customResponseBodyKey: "too-many",
          responseHeaders: [
            { name: "retry-after", value: String(WINDOW_SECONDS) },
            { name: "berth-error", value: "rate" },
          ],
        },
      },
    },
  };
}

function pathsEndingWith(path: string) {
  return {
    byteMatchStatement: {
      // A `/k/` prefix may precede the path, and any character may be escaped.
      searchString: path,
      positionalConstraint: "ENDS_WITH",
      fieldToMatch: { uriPath: {} },
      // Dot segments and doubled slashes count too, as in /v1/./auth/aws-login.
      textTransformations: [
        { priority: 0, type: "URL_DECODE" },
        { priority: 1, type: "NORMALIZE_PATH" },
      ],
    },
  };
}

function seen(metricName: string) {
  return {
    cloudwatchMetricsEnabled: true,
    metricName,
    // Samples contain paths, and so keys.
    sampledRequestsEnabled: false,
  };
}
