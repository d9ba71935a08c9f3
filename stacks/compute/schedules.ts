import { runsAllTheTime } from "./concurrency.ts";
import { logicalName } from "./functions.ts";
import type { FunctionEntry, FunctionsFile } from "./functions-file.ts";

/**
 * A call that could not be made or started for so long is given up, since the next call comes anyway. 60 is the least
 * that both services take. EventBridge Scheduler would repeat a call for 24 hours (Scheduler API Reference,
 * "RetryPolicy"), and Lambda a throttled one for 6 (Lambda API Reference, "PutFunctionEventInvokeConfig"): after a
 * flood hours of old calls would take the place of new ones.
 */
export const OLDEST_CALL_SECONDS = 60;

/** The schedules. A call that could not be made is tried again, and then kept in the queue that is answered. */
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
    // One that runs all the time is called at once when it is first made, and later another one is on its way already.
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

/** Returns a time in UTC. It is called once the function is deployed, and leaves time to create the schedule. */
function onceSoon(): string {
  return `at(${new Date(Date.now() + 120_000).toISOString().slice(0, 19)})`;
}
