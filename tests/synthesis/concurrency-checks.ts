import { logicalName } from "../../stacks/compute/functions.ts";
import { type Check, different, findEntry, functionIn, ofType } from "./checks.ts";
import type { Resource } from "./synthesize.ts";

/** Quota of docs/deploy.md, and the part to leave for functions without a reservation. */
const OF_AN_ACCOUNT = 1_000;
const LEFT = 300;
const mappingType = "aws:lambda/eventSourceMapping:EventSourceMapping";

export const concurrencyChecks = {
  /** Function URLs and consumers leave room for requests. */
  concurrency(resources, functions) {
    const made = ofType(resources, "aws:lambda/function:Function");
    const unbounded = made.filter((resource) => {
      const entry = findEntry(resource, functions);
      return entry?.kind === "endpoint" && entry.functionUrl && !(getReserved(resource) > 0);
    });
    const taken = made.reduce((sum, each) => sum + Math.max(getReserved(each), receivedBy(each, resources)), 0);
    return [
      ...unbounded.map(({ name }) => `${name} may take all that the account has`),
      ...(taken <= OF_AN_ACCOUNT - LEFT ? [] : [`${OF_AN_ACCOUNT - taken} calls at a time are left for all others`]),
    ];
  },

  /** Reconciles, plans and schedules have reserved concurrency, so they end jobs even in a flood of requests. */
  reservations(resources, functions) {
    const made = ofType(resources, "aws:lambda/function:Function");
    const ends = functions.filter(
      ({ name, kind }) => kind === "schedule" || /^consumers\/(reconcile|plan)$/.test(name),
    );
    const reserved = made.filter(
      (each) => getReserved(each) > 0 && !/endpoint/.test(findEntry(each, functions)?.kind ?? ""),
    );
    return [
      ...different(
        "functions with a share of their own",
        reserved.map(({ inputs }) => functionIn(inputs.name)),
        ends.map(logicalName),
      ),
      // Lambda throttles a mapping beyond the reservation ("Configuring maximum concurrency for Amazon SQS event
      // sources").
      ...reserved
        .filter((each) => getReserved(each) < receivedBy(each, resources))
        .map(({ name }) => `${name} receives more than it may run`),
    ];
  },

  /** Requests are limited to a part of the account's concurrency and of API Gateway's quota. */
  throttles(resources) {
    const stages = ofType(resources, "aws:apigatewayv2/stage:Stage");
    return stages.flatMap(({ name, inputs }) => {
      // API Gateway Developer Guide, "Throttle requests to your HTTP APIs for better throughput in API Gateway".
      const { throttlingRateLimit: rate, throttlingBurstLimit: burst } = inputs.defaultRouteSettings ?? {};
      return rate > 0 && rate <= 1_000 && burst > 0 && burst <= 1_000 ? [] : [`${name} takes any number of requests`];
    });
  },
} as const satisfies Record<string, Check>;

function getReserved({ inputs }: Resource): number {
  return Math.max(0, inputs.reservedConcurrentExecutions ?? 0);
}

/** Returns the maximum concurrency of the function's queue, or 0. */
function receivedBy({ inputs }: Resource, resources: readonly Resource[]): number {
  const mapping = ofType(resources, mappingType).find(
    (each) => functionIn(each.inputs.functionName) === functionIn(inputs.name),
  );
  return mapping ? (mapping.inputs.scalingConfig?.maximumConcurrency ?? OF_AN_ACCOUNT) : 0;
}
