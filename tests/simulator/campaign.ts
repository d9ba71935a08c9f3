import { interestingStates } from "./reached.ts";
import { type Report, type ScheduleOptions, simulate } from "./schedule.ts";

export interface CampaignResult {
  readonly schedules: number;
  readonly failed: readonly Report[];
  /** Port calls in all, and the most in one schedule. */
  readonly calls: number;
  readonly most: number;
  readonly cpuSeconds: number;
  readonly seconds: number;
  readonly reached: Readonly<Record<string, number>>;
}

/** Runs one schedule for each seed. A failing seed can be replayed alone. */
export async function runSchedules(options: {
  readonly from: number;
  readonly count: number;
  readonly stopAtFirst?: boolean;
  readonly schedule?: ScheduleOptions;
}): Promise<CampaignResult> {
  const begun = { at: performance.now(), cpu: process.cpuUsage() };
  const failed: Report[] = [];
  let calls = 0;
  let most = 0;
  let schedules = 0;
  const reached: Record<string, number> = {};
  for (let seed = options.from; seed < options.from + options.count; seed++) {
    const report = await withoutStacks(() => simulate(seed, options.schedule));
    schedules += 1;
    calls += report.calls;
    most = Math.max(most, report.calls);
    for (const state of report.reached) reached[state] = (reached[state] ?? 0) + 1;
    if (report.violations.length > 0) failed.push(report);
    if (failed.length > 0 && options.stopAtFirst) break;
  }
  const { user, system } = process.cpuUsage(begun.cpu);
  const seconds = (performance.now() - begun.at) / 1000;
  return { schedules, failed, calls, most, cpuSeconds: (user + system) / 1e6, seconds, reached };
}

/** Adds up the results of concurrent campaigns. They ran for `seconds` together. */
export function joined(results: readonly CampaignResult[], seconds: number): CampaignResult {
  const sum = (of: (result: CampaignResult) => number) => results.reduce((total, result) => total + of(result), 0);
  const reached: Record<string, number> = {};
  for (const [state, count] of results.flatMap((result) => Object.entries(result.reached))) {
    reached[state] = (reached[state] ?? 0) + count;
  }
  return {
    reached,
    schedules: sum(({ schedules }) => schedules),
    failed: results.flatMap(({ failed }) => failed).sort((a, b) => a.seed - b.seed),
    calls: sum(({ calls }) => calls),
    most: Math.max(0, ...results.map(({ most }) => most)),
    cpuSeconds: sum(({ cpuSeconds }) => cpuSeconds),
    seconds,
  };
}

/** Disables stack traces, because each schedule makes dozens of errors. */
export async function withoutStacks<Made>(work: () => Promise<Made>): Promise<Made> {
  const { stackTraceLimit } = Error;
  Error.stackTraceLimit = 0;
  try {
    return await work();
  } finally {
    Error.stackTraceLimit = stackTraceLimit;
  }
}

export function unreached({ reached }: CampaignResult): string[] {
  return interestingStates.filter((state) => !reached[state]);
}
