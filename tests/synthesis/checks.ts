import { tableDefinition } from "#aws/dynamodb/table-definition.ts";
import { logicalName } from "../../stacks/compute/functions.ts";
import type { FunctionEntry, FunctionsFile } from "../../stacks/compute/functions-file.ts";
import type { Resource } from "./synthesize.ts";

export type Check = (resources: readonly Resource[], functions: FunctionsFile) => string[];

export const checks = {
  functions(resources, functions) {
    const made = ofType(resources, "aws:lambda/function:Function");
    return [
      ...different("functions", made.map(nameOfFunction), functions.map(logicalName)),
      ...made.flatMap(({ name, inputs }) => {
        const entry = functions.find((each) => `${logicalName(each)}Function` === name);
        const as = [inputs.handler, inputs.runtime, inputs.architectures?.[0], inputs.timeout, inputs.memorySize];
        return differentInOrder(name, as, [
          "index.handler",
          "nodejs24.x",
          "arm64",
          entry?.timeoutSeconds,
          entry?.memoryMb,
        ]);
      }),
    ];
  },

  /** Paths may hold keys and frames may hold commands, so AWS must log neither. */
  logsOfRequests(resources) {
    const stages = ofType(resources, "aws:apigatewayv2/stage:Stage");
    const [distribution] = ofType(resources, "aws:cloudfront/distribution:Distribution");
    const { defaultCacheBehavior, orderedCacheBehaviors = [], loggingConfig } = distribution?.inputs ?? {};
    const behaviours: Resource["inputs"][] = [defaultCacheBehavior ?? {}, ...orderedCacheBehaviors];
    return [
      ...(stages.some(({ inputs }) => inputs.accessLogSettings) ? [] : ["no request is logged"]),
      ...stages.flatMap(({ name, inputs }) => [
        ...(/path|query|userAgent|identity|header/i.test(inputs.accessLogSettings?.format ?? "")
          ? [`the access log of ${name} holds ${inputs.accessLogSettings.format}`]
          : []),
        ...[inputs.defaultRouteSettings, ...(inputs.routeSettings ?? [])]
          .filter((each) => each?.dataTraceEnabled || /INFO/.test(each?.loggingLevel ?? ""))
          .map(() => `${name} logs what it is sent`),
      ]),
      ...(loggingConfig || behaviours.some(({ realtimeLogConfigArn }) => realtimeLogConfigArn)
        ? ["the edge logs paths"]
        : []),
      ...resources
        .filter(({ type }) => /^aws:(wafv2\/webAclLoggingConfiguration|cloudwatch\/logDelivery)/.test(type))
        .map(({ name }) => `${name} logs requests before the key is off their path`),
    ];
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
          return inputs.messageRetentionSeconds === (name === "ShellDeadQueue" ? 86_400 : 1_209_600)
            ? []
            : [`${name} keeps messages for ${inputs.messageRetentionSeconds} s`];
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

  /**
   * Sealed values of records need this key. A removed stage's key can be taken back for 7 days, production's for 30
   * (AWS KMS Developer Guide, "Rotate AWS KMS keys" and "Delete an AWS KMS key").
   */
  sealerKey(resources) {
    const found = ofType(resources, "aws:kms/key:Key").map(({ name, inputs }) => {
      return { name, rotates: inputs.enableKeyRotation, days: inputs.deletionWindowInDays };
    });
    const table = ofType(resources, "aws:dynamodb/table:Table")[0]?.inputs;
    const days = table?.deletionProtectionEnabled ? 30 : 7;
    return differentInOrder("keys", found, [{ name: "Sealer", rotates: true, days }]);
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
      ...differentInOrder("keys", [inputs.hashKey, inputs.rangeKey], ["pk", "sk"]),
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
    const consumers = functions.flatMap((entry) => {
      if (entry.kind === "consumer") return [{ queue: entry.queue, name: entry.name }];
      return entry.kind === "socket" ? [{ queue: "shell", name: entry.name }] : [];
    });
    return [
      ...different(
        "consumers",
        mappings.map(({ inputs }) => `${queueIn(inputs.eventSourceArn)} ${functionIn(inputs.functionName)}`),
        consumers.map((each) => `${each.queue} ${logicalName(each)}`),
      ),
      ...mappings
        .filter(({ inputs }) => !inputs.functionResponseTypes?.includes("ReportBatchItemFailures"))
        .map(({ name }) => `${name} repeats whole batches`),
      ...mappings
        .filter(({ inputs }) => !(inputs.scalingConfig?.maximumConcurrency >= 2))
        .map(({ name }) => `${name} has no limit`),
      ...mappings
        .filter(({ inputs }) => !(inputs.batchSize <= (/:[^:]*ShellQueue/.test(inputs.eventSourceArn) ? 1 : 10)))
        .map(({ name, inputs }) => `${name} takes ${inputs.batchSize} at once, which do not fit in its time`),
    ];
  },

  schedules(resources, functions) {
    const made = ofType(resources, "aws:scheduler/schedule:Schedule");
    const wanted = functions.filter((entry) => entry.kind === "schedule");
    const once = made.filter(({ inputs }) => /^at\(\d{4}(-\d\d){2}T\d\d(:\d\d){2}\)$/.test(inputs.scheduleExpression));
    return [
      ...different(
        "calls after a deployment",
        once.map(({ inputs }) => functionIn(inputs.target?.arn)),
        wanted
          .filter(({ atStart, timeoutSeconds, minutes }) => atStart && timeoutSeconds <= minutes * 60)
          .map(logicalName),
      ),
      ...different(
        "schedules",
        made
          .filter((each) => !once.includes(each))
          .map(({ inputs }) => `${getMinutes(inputs.scheduleExpression)} ${functionIn(inputs.target?.arn)}`),
        wanted.map((entry) => `${entry.minutes} ${logicalName(entry)}`),
      ),
      ...made
        .filter(
          ({ inputs }) =>
            !inputs.target?.deadLetterConfig?.arn || !(inputs.target.retryPolicy?.maximumRetryAttempts > 0),
        )
        .map(({ name }) => `${name} is lost where it fails`),
      // Without this limit, both services retry for hours (Scheduler API Reference, "RetryPolicy", and Lambda API
      // Reference, "PutFunctionEventInvokeConfig").
      ...made
        .filter(({ inputs }) => inputs.target?.retryPolicy?.maximumEventAgeInSeconds !== 60)
        .map(({ name }) => `${name} is repeated after its next call`),
      ...different(
        "functions whose old calls are given up",
        ofType(resources, "aws:lambda/functionEventInvokeConfig:FunctionEventInvokeConfig")
          .filter(({ inputs }) => inputs.maximumEventAgeInSeconds === 60)
          .map(({ inputs }) => functionIn(inputs.functionName)),
        wanted.map(logicalName),
      ),
    ];
  },
} as const satisfies Record<string, Check>;

export function ofType(resources: readonly Resource[], type: string): Resource[] {
  return resources.filter((resource) => resource.type === type && !resource.read);
}

/** A hidden message of a FIFO queue blocks its group, so its visibility timeout barely exceeds the function's. */
function visibility(name: string, inputs: Resource["inputs"], functions: FunctionsFile): string[] {
  const timeout = functions.find((entry) => {
    if (entry.kind === "socket") return name === "ShellQueue";
    return entry.kind === "consumer" && `${entry.queue}queue` === name.toLowerCase();
  })?.timeoutSeconds;
  if (timeout === undefined) return [`${name} has no receiver`];
  const seconds: number = inputs.visibilityTimeoutSeconds ?? 30;
  const [least, most] = inputs.fifoQueue ? [timeout + 5, timeout + 30] : [6 * timeout, 43_200];
  if (seconds < least) return [`${name} shows messages again before they are dealt with`];
  return seconds > most ? [`${name}: a dead process holds its group back for ${seconds} s`] : [];
}

function nameOfFunction({ name }: { readonly name: string }): string {
  return name.replace(/Function$/, "");
}

/** Returns the function in an ARN. SST adds app and stage before its name and a random suffix. */
export function functionIn(arn: unknown): string {
  return /([A-Za-z0-9]+)Function-[a-z]+$/.exec(String(arn))?.[1] ?? String(arn);
}

function queueIn(arn: unknown): string {
  return (/([A-Za-z]+)Queue-[a-z]+(\.fifo)?$/.exec(String(arn))?.[1] ?? String(arn)).toLowerCase();
}

function getMinutes(expression: string): string {
  return /^rate\((\d+) minutes?\)$/.exec(expression)?.[1] ?? expression;
}

export function different(subject: string, found: readonly unknown[], wanted: readonly unknown[]): string[] {
  const missing = wanted.map(String);
  const extra = found.map(String).filter((each) => {
    const at = missing.indexOf(each);
    if (at >= 0) missing.splice(at, 1);
    return at < 0;
  });
  if (extra.length === 0 && missing.length === 0) return [];
  return [`${subject}: missing ${missing.join(", ")}; extra ${extra.join(", ")}`];
}

export function differentInOrder(subject: string, found: unknown, wanted: unknown): string[] {
  const [first, second] = [found, wanted].map((all) => JSON.stringify(all));
  return first === second ? [] : [`${subject}: ${first} instead of ${second}`];
}

export function findEntry(resource: Resource, functions: FunctionsFile): FunctionEntry | undefined {
  return functions.find((entry) => logicalName(entry) === nameOfFunction(resource));
}
