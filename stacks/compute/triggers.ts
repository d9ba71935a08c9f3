import type { Queues } from "../storage/queues.ts";
import { mostBatches } from "./concurrency.ts";
import { logicalName } from "./functions.ts";
import type { FunctionEntry, FunctionsFile } from "./functions-file.ts";
import { queuesSentTo } from "./roles.ts";

/**
 * Messages per batch, which share the timeout of the consumer. Ten messages of one pool are one plan; a planner
 * returns the pools that it had no time for (core/pools/plan/planner.ts).
 */
const BATCH = 10;

export function subscribeConsumers(
  functions: FunctionsFile,
  queues: Queues,
  getFunction: (entry: FunctionEntry) => sst.aws.Function,
): void {
  for (const entry of functions) {
    if (entry.kind !== "consumer") continue;
    queues[entry.queue].subscribe(getFunction(entry).arn, {
      batch: { size: BATCH, partialResponses: true },
      transform: {
        eventSourceMapping: (mapping) => {
          mapping.scalingConfig = { maximumConcurrency: mostBatches[entry.queue] };
        },
      },
    });
  }
}

/**
 * Age at which a call that could not start is dropped, because the next one comes anyway. 60 is the minimum of both
 * services. EventBridge Scheduler retries for 24 hours by default (Scheduler API Reference, "RetryPolicy"), and
 * Lambda a throttled call for 6 (Lambda API Reference, "PutFunctionEventInvokeConfig"): old calls would crowd out new
 * ones.
 */
export const OLDEST_CALL_SECONDS = 60;

export function makeSchedules(
  functions: FunctionsFile,
  getFunction: (entry: FunctionEntry) => sst.aws.Function,
): sst.aws.Queue {
  const dead = new sst.aws.Queue("SchedulesDead", {
    transform: { queue: { messageRetentionSeconds: 14 * 86_400 } },
  });
  for (const entry of functions) {
    if (entry.kind !== "schedule") continue;
    const { arn } = getFunction(entry);
    const cron = new sst.aws.CronV2(`${logicalName(entry)}Schedule`, {
      function: arn,
      schedule: entry.minutes === 1 ? "rate(1 minute)" : `rate(${entry.minutes} minutes)`,
      retries: 2,
      dlq: dead.arn,
      transform: {
        schedule: (schedule) => {
          schedule.target = $util.output(schedule.target).apply((target) => ({
            ...target,
            retryPolicy: { ...target.retryPolicy, maximumEventAgeInSeconds: OLDEST_CALL_SECONDS },
          }));
        },
      },
    });
    // An endless schedule is called at its creation, and later its predecessor still runs.
    if (entry.atStart && !runsAllTheTime(entry)) {
      new aws.scheduler.Schedule(`${logicalName(entry)}Start`, {
        scheduleExpression: arn.apply(onceSoon),
        flexibleTimeWindow: { mode: "OFF" },
        target: cron.nodes.schedule.target,
      });
    }
  }
  return dead;
}

/** Returns a time in UTC that leaves time to create the schedule. It is called once the function is deployed. */
function onceSoon(): string {
  return `at(${new Date(Date.now() + 120_000).toISOString().slice(0, 19)})`;
}

/** Reports whether the next call of a schedule begins before the last one has ended. */
export function runsAllTheTime(entry: FunctionEntry): boolean {
  return entry.kind === "schedule" && entry.timeoutSeconds > entry.minutes * 60;
}

/**
 * Allows functions to trigger themselves through their queues. A reconcile requests the next one of its record, and a
 * plan the next plan of its pool. By default Lambda stops such a loop after about 16 invocations and moves the
 * message to the dead-letter queue (https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html).
 */
export function allowLoops(functions: FunctionsFile, getFunction: (entry: FunctionEntry) => sst.aws.Function): void {
  for (const entry of functionsInLoops(functions)) {
    new aws.lambda.FunctionRecursionConfig(`${logicalName(entry)}Recursion`, {
      functionName: getFunction(entry).name,
      recursiveLoop: "Allow",
    });
  }
}

function functionsInLoops(functions: FunctionsFile): FunctionEntry[] {
  return functions.filter((entry) => {
    const queue = findQueue(entry);
    return queue !== undefined && reachableQueues(entry, functions).has(queue);
  });
}

function findQueue(entry: FunctionEntry): string | undefined {
  if (entry.kind === "socket") return "shell";
  return entry.kind === "consumer" ? entry.queue : undefined;
}

function reachableQueues(start: FunctionEntry, functions: FunctionsFile): ReadonlySet<string> {
  const reached = new Set<string>(queuesSentTo(start));
  // Iterating over a set includes the queues that this loop adds.
  for (const queue of reached) {
    for (const entry of functions) {
      if (findQueue(entry) === queue) for (const next of queuesSentTo(entry)) reached.add(next);
    }
  }
  return reached;
}
