import { runsAllTheTime } from "./concurrency.ts";
import { logicalName } from "./functions.ts";
import type { FunctionEntry, FunctionsFile } from "./functions-file.ts";

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
