import { type Report, type ScheduleOptions, simulate } from "./schedule.ts";

export interface CampaignResult {
  readonly schedules: number;
  readonly failed: readonly Report[];
  /** Port calls in all, and the most in one schedule. */
  readonly calls: number;
  readonly most: number;
  readonly seconds: number;
}

/** Runs so many schedules, one seed each; a seed that fails can be replayed alone. */
export async function runSchedules(options: {
  readonly from: number;
  readonly count: number;
  readonly stopAtFirst?: boolean;
  readonly schedule?: ScheduleOptions;
}): Promise<CampaignResult> {
  const begun = performance.now();
  const failed: Report[] = [];
  let calls = 0;
  let most = 0;
  let schedules = 0;
  for (let seed = options.from; seed < options.from + options.count; seed++) {
    const report = await withoutStacks(() => simulate(seed, options.schedule));
    schedules += 1;
    calls += report.calls;
    most = Math.max(most, report.calls);
    if (report.violations.length > 0) failed.push(report);
    if (failed.length > 0 && options.stopAtFirst) break;
  }
  return { schedules, failed, calls, most, seconds: (performance.now() - begun) / 1000 };
}

/** Nobody reads the stacks of conflicts and injected faults, of which each schedule has dozens. */
async function withoutStacks<Made>(work: () => Promise<Made>): Promise<Made> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await work();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}
