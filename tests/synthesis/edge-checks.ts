import { readFileSync } from "node:fs";
import { runInNewContext } from "node:vm";
import { type ProblemView, sharedTexts } from "#http/dialect.ts";
import { gpuDevDialect } from "#http/dialects/gpu-dev.ts";
import { logicalName } from "../../stacks/compute/functions.ts";
import type { EndpointEntry, FunctionsFile } from "../../stacks/compute/functions-file.ts";
import { type Check, different, differentInOrder, functionIn, ofType } from "./checks.ts";
import { assetNames } from "./console-checks.ts";
import type { Resource } from "./synthesize.ts";

const lambda = "aws:lambda/function:Function";

/** The login's own answer. */
const takesProof = /^gpu-dev\/(auth\/aws-login|web\/(open-session|show-code))$/;

const tooMany: ProblemView = {
  status: 429,
  text: sharedTexts.tooMany,
  hint: undefined,
  category: "",
  code: undefined,
  fields: [],
  requestId: "",
  correlationId: undefined,
  now: 0,
};

export const edgeChecks = {
  routes(resources, functions) {
    const integrations = ofType(resources, "aws:apigatewayv2/integration:Integration");
    const routes = ofType(resources, "aws:apigatewayv2/route:Route").filter(
      ({ inputs }) => inputs.apiId !== "Socket-id",
    );
    const made = routes.map(({ inputs }) => {
      const integration = integrations.find(({ name }) => inputs.target === `integrations/${name}-id`);
      return `${inputs.routeKey} by ${functionIn(integration?.inputs.integrationUri)}`;
    });
    const wanted = endpoints(functions)
      .filter(({ functionUrl }) => !functionUrl)
      .flatMap((entry) => {
        const { method, path } = entry;
        const methods = method === "get" ? ["GET", "HEAD"] : [method.toUpperCase()];
        return methods.map((each) => `${each} ${path} by ${logicalName(entry)}`);
      });
    return different("routes", made, [...wanted, "$default by SharedFallback"]);
  },

  /** openapi.json is checked apart from functions.json, because clients are generated from it. */
  documentedPaths(resources, functions) {
    const document = JSON.parse(readFileSync("openapi.json", "utf8"));
    const documented = Object.entries<object>(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods)
        .filter((method) => /^(get|post|put|patch|delete)$/.test(method))
        .map((method) => `${method.toUpperCase()} ${path}`),
    );
    const routes = ofType(resources, "aws:apigatewayv2/route:Route").map(({ inputs }) => inputs.routeKey);
    const slow = slowEndpoints(functions).map(({ route }) => route);
    if (documented.length < 50) return ["openapi.json documents next to nothing"];
    return documented.filter((route) => ![...routes, ...slow].includes(route)).map((route) => `${route} goes nowhere`);
  },

  urls(resources, functions) {
    const made = ofType(resources, "aws:lambda/functionUrl:FunctionUrl");
    return [
      ...different(
        "function URLs",
        made.map(({ inputs }) => functionIn(inputs.functionName)),
        slowEndpoints(functions).map(logicalName),
      ),
      ...made.filter(({ inputs }) => inputs.cors).map(({ name }) => `${name} answers pages of other origins`),
    ];
  },

  behaviours(resources, functions) {
    const { inputs } = ofType(resources, "aws:cloudfront/distribution:Distribution")[0] ?? { inputs: {} };
    const { defaultCacheBehavior, orderedCacheBehaviors = [], origins = [] } = inputs;
    const made = [{ pathPattern: "the rest", ...defaultCacheBehavior }, ...orderedCacheBehaviors].filter(
      ({ targetOriginId }: Resource["inputs"]) => targetOriginId !== "console",
    );
    const wanted = [
      { pattern: "the rest", host: "api.execute-api.us-east-1.amazonaws.com", seconds: 35 },
      ...slowEndpoints(functions).map((entry) => ({
        pattern: `*${entry.path.replaceAll(/\{\w+\}/g, "*")}`,
        host: `${logicalName(entry).toLowerCase()}url.lambda-url.us-east-1.on.aws`,
        seconds: 120,
      })),
      {
        pattern: "*/v1/cloudrun/workspaces/*/shell",
        host: "socket.execute-api.us-east-1.amazonaws.com",
        seconds: 35,
      },
    ];
    const getOrigin = (id: string) => origins.find((each: Resource["inputs"]) => each.originId === id) ?? {};
    return differentInOrder(
      "behaviours",
      made.map(({ pathPattern, targetOriginId, ...each }) => {
        const { domainName, customOriginConfig } = getOrigin(targetOriginId);
        const { originReadTimeout, originProtocolPolicy } = customOriginConfig ?? {};
        const where = [pathPattern, domainName, originReadTimeout, originProtocolPolicy];
        const policies = [each.cachePolicyId, each.originRequestPolicyId, each.viewerProtocolPolicy];
        return [...where, ...policies, each.allowedMethods?.join(), each.functionAssociations];
      }),
      wanted.map(({ pattern, host, seconds }) => [
        ...[pattern, host, seconds, "https-only"],
        // CachingDisabled and AllViewerExceptHostHeader (CloudFront Developer Guide).
        ...["4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "b689b0a8-53d0-40ab-baf2-68738e2966ac", "https-only"],
        "GET,HEAD,OPTIONS,PUT,POST,PATCH,DELETE",
        [{ eventType: "viewer-request", functionArn: "arn:aws:cloudfront::123456789012:function/Edge" }],
      ]),
    );
  },

  /** Browsers return over HTTPS only, and custom domains require TLS 1.2. */
  transport(resources) {
    const [distribution] = ofType(resources, "aws:cloudfront/distribution:Distribution");
    const policies = ofType(resources, "aws:cloudfront/responseHeadersPolicy:ResponseHeadersPolicy");
    const [policy, ...others] = policies.filter(({ name }) => name !== "Console");
    const {
      defaultCacheBehavior,
      orderedCacheBehaviors = [],
      origins = [],
      viewerCertificate,
      aliases,
    } = distribution?.inputs ?? {};
    const behaviours: Resource["inputs"][] = [defaultCacheBehavior ?? {}, ...orderedCacheBehaviors];
    const { accessControlMaxAgeSec, override } = policy?.inputs.securityHeadersConfig?.strictTransportSecurity ?? {};
    return [
      ...(others.length > 0 ? ["behaviours have several policies"] : []),
      // CloudFront Developer Guide, "Understand response headers policies".
      ...differentInOrder("HSTS", [accessControlMaxAgeSec, override], [31_536_000, true]),
      ...behaviours
        .filter(({ targetOriginId }) => targetOriginId !== "console")
        .filter((each) => each.responseHeadersPolicyId !== `${policy?.name}-id`)
        .map(({ pathPattern = "*" }) => `${pathPattern} answers without HSTS`),
      ...origins
        .filter(({ originId }: Resource["inputs"]) => originId !== "console")
        .filter(({ customOriginConfig: to }: Resource["inputs"]) => to.originSslProtocols?.join() !== "TLSv1.2")
        .map(({ originId }: Resource["inputs"]) => `${originId} is reached by an old TLS`),
      // CloudFront ignores the setting for its own domain (CloudFront API Reference, "ViewerCertificate",
      // MinimumProtocolVersion).
      ...(aliases ? differentInOrder("TLS", viewerCertificate?.minimumProtocolVersion, "TLSv1.2_2021") : []),
    ];
  },

  /** The canary sends requests through the edge. No other alarm notices an edge that refuses all clients. */
  canary(resources) {
    const [check, ...others] = ofType(resources, "aws:route53/healthCheck:HealthCheck");
    const [distribution] = ofType(resources, "aws:cloudfront/distribution:Distribution");
    const alarm = ofType(resources, "aws:cloudwatch/metricAlarm:MetricAlarm").find(
      ({ inputs }) => inputs.metricName === "HealthCheckStatus",
    );
    const { type, fqdn, port, resourcePath, enableSni, requestInterval, regions = [] } = check?.inputs ?? {};
    const { region, namespace, dimensions, comparisonOperator, threshold, treatMissingData } = alarm?.inputs ?? {};
    return [
      ...(others.length > 0 ? ["there are several canaries"] : []),
      ...differentInOrder(
        "the canary",
        [type, port, resourcePath, enableSni, requestInterval],
        ["HTTPS", 443, "/health", true, 30],
      ),
      ...differentInOrder("where it asks", fqdn, distribution?.inputs.aliases?.[0] ?? "d111111abcdef8.cloudfront.net"),
      // Route 53 Developer Guide, "Values that you specify when you create or update health checks", health checker
      // regions.
      ...(regions.length >= 3 ? [] : ["Route 53 checks from three regions or more"]),
      // Route 53 writes metrics only to this region (Route 53 Developer Guide, "Monitoring health checks using
      // CloudWatch").
      ...differentInOrder(
        "the alarm of the canary",
        [region, namespace, dimensions, comparisonOperator, threshold, treatMissingData],
        ["us-east-1", "AWS/Route53", { HealthCheckId: "Canary-id" }, "LessThanThreshold", 1, "breaching"],
      ),
    ];
  },

  firewall(resources, functions) {
    const [firewall] = ofType(resources, "aws:wafv2/webAcl:WebAcl");
    const [distribution] = ofType(resources, "aws:cloudfront/distribution:Distribution");
    const { rules = [], scope, region, visibilityConfig } = firewall?.inputs ?? {};
    const [rule, ofAll] = rules;
    const answers = rules.map(({ action }: Resource["inputs"]) => {
      const answer = action.block?.customResponse;
      const body = firewall?.inputs.customResponseBodies?.find(
        ({ key }: Resource["inputs"]) => key === answer?.customResponseBodyKey,
      );
      const headers = answer?.responseHeaders?.map(({ name, value }: Resource["inputs"]) => `${name}: ${value}`);
      return [answer?.responseCode, body?.content, headers?.join()];
    });
    const tooManyBody = JSON.stringify(gpuDevDialect.envelope(tooMany));
    const limited = rule?.statement.rateBasedStatement;
    const statements: Resource["inputs"][] = limited?.scopeDownStatement?.orStatement?.statements ?? [];
    const matches = statements.map(({ byteMatchStatement: match }) => [
      match?.searchString,
      match?.positionalConstraint,
      ...(match?.textTransformations ?? [])
        .toSorted((left: Resource["inputs"], right: Resource["inputs"]) => left.priority - right.priority)
        .map(({ type }: Resource["inputs"]) => type),
    ]);
    const logins = endpoints(functions).filter(({ name }) => takesProof.test(name));
    const samples = [visibilityConfig, ...rules.map((each: Resource["inputs"]) => each.visibilityConfig)].map(
      (each) => each?.sampledRequestsEnabled,
    );
    return [
      ...differentInOrder(
        "the firewall",
        [scope, region, ...samples],
        ["CLOUDFRONT", "us-east-1", false, false, false],
      ),
      // Decode first, so that normalization finds escaped dots.
      ...differentInOrder(
        "where it counts",
        matches,
        logins.map(({ path }) => [path, "ENDS_WITH", "URL_DECODE", "NORMALIZE_PATH"]),
      ),
      ...(logins.length === 3 ? [] : ["three endpoints log a user in"]),
      // AWS WAF Developer Guide, "Using rate-based rule statements in AWS WAF".
      ...differentInOrder("how it counts", [limited?.aggregateKeyType, limited?.limit], ["IP", 60]),
      ...differentInOrder("what it answers", answers, [
        [429, tooManyBody, "retry-after: 60,berth-error: rate"],
        [429, tooManyBody, "retry-after: 60,berth-error: rate"],
      ]),
      // Limits each address, because all clients share the API's throttle.
      ...differentInOrder("how it counts all requests", ofAll?.statement.rateBasedStatement, {
        aggregateKeyType: "IP",
        evaluationWindowSec: 60,
        limit: 3_000,
      }),
      ...(firewall && distribution?.inputs.webAclId?.endsWith(`:${firewall.name}`) ? [] : ["it stands nowhere"]),
    ];
  },

  edgeFunction(resources, functions) {
    const [edge, ...others] = ofType(resources, "aws:cloudfront/function:Function");
    if (!edge || others.length > 0) return ["there is not one function at the edge"];
    const { code, publish = true, runtime } = edge.inputs;
    const headers = { "x-berth-origin": { value: "forged" }, "x-berth-path": { value: "forged" } };
    const event = { viewer: { ip: "198.51.100.11" }, request: { uri: "/k/key/v1/jobs", headers } };
    const sent = runInNewContext(`${code}\nJSON.stringify(handler(event))`, { event });
    const values = {
      "x-berth-key": { value: "key" },
      "x-berth-viewer": { value: "198.51.100.11" },
      "x-berth-origin": { value: "s".repeat(32) },
    };
    const waited = edge.after.filter((each) => /^aws:(lambda|s3)/.test(each));
    const served = functions.filter(({ kind }) => ["endpoint", "fallback", "socket"].includes(kind));
    return [
      ...differentInOrder("the edge's function", [publish, runtime], [true, "cloudfront-js-2.0"]),
      ...differentInOrder("what it sends", [sent], [JSON.stringify({ uri: "/v1/jobs", headers: values })]),
      // A function without the new secret would answer 403, and a page without its assets would stay empty.
      ...different("what is replaced before it", waited, [
        ...served.map((entry) => `${lambda} ${logicalName(entry)}Function`),
        ...assetNames().map((name) => `aws:s3/bucketObjectv2:BucketObjectv2 Console-${name}`),
      ]),
    ];
  },
} as const satisfies Record<string, Check>;

function endpoints(functions: FunctionsFile): EndpointEntry[] {
  return functions.filter((entry) => entry.kind === "endpoint");
}

function slowEndpoints(functions: FunctionsFile): EndpointEntry[] {
  return endpoints(functions).filter(({ functionUrl }) => functionUrl === true);
}
