import { tableDefinition } from "../../packages/aws/table-definition.ts";
import { routesOf } from "../api.ts";
import { logicalName } from "../functions.ts";
import type { EndpointEntry, FunctionEntry, FunctionsFile } from "../functions-file.ts";
import type { Resource } from "./synthesize.ts";

/** What is wrong with the resources of a stage, in words; nothing: they are as they should be. */
export type Check = (resources: readonly Resource[], functions: FunctionsFile) => string[];

export const checks = {
  functions(resources, functions) {
    const made = ofType(resources, "aws:lambda/function:Function");
    return [
      ...different("functions", made.map(nameOfFunction), functions.map(logicalName)),
      ...made.flatMap(({ name, inputs }) => {
        const entry = functions.find((each) => `${logicalName(each)}Function` === name);
        const as = [inputs.handler, inputs.runtime, inputs.architectures?.[0], inputs.timeout, inputs.memorySize];
        return different(name, as, ["index.handler", "nodejs24.x", "arm64", entry?.timeoutSeconds, entry?.memoryMb]);
      }),
    ];
  },

  routes(resources, functions) {
    const made = ofType(resources, "aws:apigatewayv2/route:Route").map(({ inputs }) => inputs.routeKey);
    return different(
      "routes",
      made,
      routesOf(functions).map(({ route }) => route),
    );
  },

  accessLog(resources) {
    const [stage] = ofType(resources, "aws:apigatewayv2/stage:Stage");
    const format: string = stage?.inputs.accessLogSettings?.format ?? "none";
    return /path|query|userAgent|identity|header|none/i.test(format) ? [`the access log holds ${format}`] : [];
  },

  queues(resources, functions) {
    const queues = ofType(resources, "aws:sqs/queue:Queue");
    const names = ["Pools", "Shell", "Webhooks", "Work"];
    const dead = [...names, "Schedules"].map((name) => `${name}DeadQueue`);
    const all = [...names.map((name) => `${name}Queue`), ...dead];
    return [
      ...different(
        "queues",
        queues.map(({ name }) => name),
        all,
      ),
      ...queues.flatMap(({ name, inputs }) => {
        if (dead.includes(name))
          return inputs.messageRetentionSeconds === 1_209_600 ? [] : [`${name} forgets too soon`];
        const target = JSON.parse(inputs.redrivePolicy ?? "{}").deadLetterTargetArn ?? "";
        return target.includes(`-${name.replace("Queue", "DeadQueue")}-`)
          ? visibility(name, inputs, functions)
          : [`${name} has no DLQ`];
      }),
      ...queues
        .filter(({ name, inputs }) => Boolean(inputs.fifoQueue) !== /^(Pools|Shell)/.test(name))
        .map(({ name }) => `${name} is of the wrong kind`),
    ];
  },

  table(resources) {
    const [table, ...others] = ofType(resources, "aws:dynamodb/table:Table");
    if (!table || others.length > 0) return ["there is not one table"];
    const { inputs } = table;
    const wanted = tableDefinition(inputs.name);
    const indexes = (inputs.globalSecondaryIndexes ?? []).map((index: Resource["inputs"]) =>
      JSON.stringify([index.name, index.hashKey, index.rangeKey, index.projectionType, index.nonKeyAttributes ?? []]),
    );
    const wantedIndexes = wanted.GlobalSecondaryIndexes?.map(({ IndexName, KeySchema = [], Projection }) =>
      JSON.stringify([
        IndexName,
        ...KeySchema.map(({ AttributeName }) => AttributeName),
        Projection?.ProjectionType,
        Projection?.NonKeyAttributes ?? [],
      ]),
    );
    const types = (inputs.attributes ?? []).map(({ name, type }: Resource["inputs"]) => `${name} ${type}`);
    return [
      ...different("keys", [inputs.hashKey, inputs.rangeKey], ["pk", "sk"]),
      ...different("indexes", indexes, wantedIndexes ?? []),
      ...different(
        "attributes",
        types,
        (wanted.AttributeDefinitions ?? []).map(
          ({ AttributeName, AttributeType }) => `${AttributeName} ${AttributeType}`,
        ),
      ),
      ...(inputs.ttl?.enabled && inputs.ttl.attributeName === "ttl" ? [] : ["TTL is off"]),
      ...(inputs.pointInTimeRecovery?.enabled ? [] : ["no point in time can be restored"]),
    ];
  },

  consumers(resources, functions) {
    const mappings = ofType(resources, "aws:lambda/eventSourceMapping:EventSourceMapping");
    const consumers = functions.filter(({ kind }) => kind === "consumer");
    return [
      ...different(
        "consumers",
        mappings.map(({ inputs }) => functionIn(inputs.functionName)),
        consumers.map(logicalName),
      ),
      ...mappings
        .filter(({ inputs }) => !inputs.functionResponseTypes?.includes("ReportBatchItemFailures"))
        .map(({ name }) => `${name} repeats whole batches`),
      ...mappings
        .filter(({ inputs }) => !(inputs.scalingConfig?.maximumConcurrency >= 2))
        .map(({ name }) => `${name} has no limit`),
    ];
  },

  schedules(resources, functions) {
    const made = ofType(resources, "aws:scheduler/schedule:Schedule");
    const wanted = functions.filter(({ kind }) => kind === "schedule");
    return [
      ...different(
        "schedules",
        made.map(({ inputs }) => `${minutesOf(inputs.scheduleExpression)} ${functionIn(inputs.target?.arn)}`),
        wanted.map((entry) => `${entry.kind === "schedule" && entry.minutes} ${logicalName(entry)}`),
      ),
      ...made
        .filter(
          ({ inputs }) =>
            !inputs.target?.deadLetterConfig?.arn || !(inputs.target.retryPolicy?.maximumRetryAttempts > 0),
        )
        .map(({ name }) => `${name} is lost where it fails`),
    ];
  },

  urls(resources, functions) {
    const made = ofType(resources, "aws:lambda/functionUrl:FunctionUrl");
    return [
      ...different(
        "function URLs",
        made.map(({ name }) => name.replace(/Url$/, "")),
        slowEndpoints(functions).map(logicalName),
      ),
      ...made.filter(({ inputs }) => inputs.cors).map(({ name }) => `${name} answers pages of other origins`),
    ];
  },

  edge(resources, functions) {
    const [distribution] = ofType(resources, "aws:cloudfront/distribution:Distribution");
    const { defaultCacheBehavior, orderedCacheBehaviors = [] } = distribution?.inputs ?? {};
    const behaviours: Resource["inputs"][] = [
      { pathPattern: "the rest", ...defaultCacheBehavior },
      ...orderedCacheBehaviors,
    ];
    const patterns = slowEndpoints(functions).map(({ path }) => `*${path.replaceAll(/\{\w+\}/g, "*")}`);
    return [
      ...different(
        "behaviours",
        behaviours.map(({ pathPattern }) => pathPattern),
        ["the rest", ...patterns],
      ),
      ...behaviours.flatMap(
        ({ pathPattern, cachePolicyId, originRequestPolicyId, functionAssociations, allowedMethods }) =>
          different(
            pathPattern,
            [cachePolicyId, originRequestPolicyId, functionAssociations?.[0]?.eventType, allowedMethods?.length],
            ["4135ea2d-6df8-44a3-9df3-4b5a84be39ad", "b689b0a8-53d0-40ab-baf2-68738e2966ac", "viewer-request", 7],
          ),
      ),
    ];
  },
} as const satisfies Record<string, Check>;

export function ofType(resources: readonly Resource[], type: string): Resource[] {
  return resources.filter((resource) => resource.type === type && !resource.read);
}

function visibility(name: string, inputs: Resource["inputs"], functions: FunctionsFile): string[] {
  const consumer = functions.find((entry) => entry.kind === "consumer" && `${entry.queue}queue` === name.toLowerCase());
  const seconds: number = inputs.visibilityTimeoutSeconds ?? 30;
  if (seconds < 6 * (consumer?.timeoutSeconds ?? 900))
    return [`${name} shows messages again before they are dealt with`];
  return name === "PoolsQueue" && seconds > 90 ? [`${name}: a dead planner holds its pool back for ${seconds} s`] : [];
}

function slowEndpoints(functions: FunctionsFile): EndpointEntry[] {
  return functions.filter((entry) => entry.kind === "endpoint").filter(({ functionUrl }) => functionUrl === true);
}

function nameOfFunction({ name }: { readonly name: string }): string {
  return name.replace(/Function$/, "");
}

/** The function that an ARN names: SST gives it the names of app and stage in front, and something random at the end. */
function functionIn(arn: unknown): string {
  return /:function:berth-[a-z]+-(\w+)Function-\w+$/.exec(String(arn))?.[1] ?? String(arn);
}

function minutesOf(expression: string): string {
  return /^rate\((\d+) minutes?\)$/.exec(expression)?.[1] ?? expression;
}

export function different(what: string, found: readonly unknown[], wanted: readonly unknown[]): string[] {
  const [one, other] = [found, wanted].map((all) => all.map(String).toSorted());
  const extra = one?.filter((each) => !other?.includes(each)) ?? [];
  const missing = other?.filter((each) => !one?.includes(each)) ?? [];
  if (extra.length > 0 || missing.length > 0)
    return [`${what}: missing ${missing.join(", ")}; extra ${extra.join(", ")}`];
  return one?.length === other?.length ? [] : [`${what}: ${one?.length} instead of ${other?.length}`];
}

export function entryOf(resource: Resource, functions: FunctionsFile): FunctionEntry | undefined {
  return functions.find((entry) => logicalName(entry) === nameOfFunction(resource));
}
