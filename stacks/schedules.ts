import { logicalName } from "./functions.ts";
import type { FunctionEntry, FunctionsFile, ScheduleEntry } from "./functions-file.ts";

/** The schedules. A call that could not be made is tried again, and then kept where an operator sees it. */
export function makeSchedules(functions: FunctionsFile, functionOf: (entry: FunctionEntry) => sst.aws.Function): void {
  const dead = new sst.aws.Queue("SchedulesDead", {
    transform: { queue: { messageRetentionSeconds: 14 * 86_400 } },
  });
  for (const entry of functions) {
    if (entry.kind !== "schedule") continue;
    new sst.aws.CronV2(`${logicalName(entry)}Schedule`, {
      function: functionOf(entry).arn,
      schedule: entry.minutes === 1 ? "rate(1 minute)" : `rate(${entry.minutes} minutes)`,
      retries: 2,
      dlq: dead.arn,
    });
  }
}

/** Of a schedule whose next call begins before the last one has ended: the two, and no third. */
export function reservedConcurrency({ minutes, timeoutSeconds }: ScheduleEntry): number | undefined {
  return timeoutSeconds > minutes * 60 ? 2 : undefined;
}
