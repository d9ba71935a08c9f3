import { type ChildProcess, fork } from "node:child_process";
import { join } from "node:path";
import { type CampaignResult, joined } from "./campaign.ts";

export interface Task {
  readonly from: number;
  readonly count: number;
}

export interface JobOptions extends Task {
  readonly jobs: number;
  /** No new range begins after this time. The answer's `schedules` counts those that ran. */
  readonly stopAfterSeconds?: number;
  /** Seeds per range. The default is small, so all processes end at about the same time. */
  readonly atOnce?: number;
}

/** Runs schedules in several processes. A free process takes the next range of seeds. */
export async function runInJobs(options: JobOptions): Promise<CampaignResult> {
  const begun = performance.now();
  const seconds = () => (performance.now() - begun) / 1000;
  const { stopAfterSeconds = Number.POSITIVE_INFINITY, atOnce = 100 } = options;
  const end = options.from + options.count;
  const results: CampaignResult[] = [];
  let next = options.from;
  function nextTask(): Task | undefined {
    if (next >= end || seconds() >= stopAfterSeconds) return undefined;
    const task = { from: next, count: Math.min(atOnce, end - next) };
    next += task.count;
    return task;
  }
  async function work(): Promise<void> {
    // Schedules create much short-lived garbage. A large young generation avoids copying it.
    const child = fork(join(import.meta.dirname, "job.ts"), { execArgv: ["--max-semi-space-size=64"] });
    try {
      for (let task = nextTask(); task; task = nextTask()) results.push(await getAnswer(child, task));
    } finally {
      child.disconnect();
    }
  }
  await Promise.all(Array.from({ length: options.jobs }, work));
  return joined(results, seconds());
}

function getAnswer(child: ChildProcess, task: Task): Promise<CampaignResult> {
  return new Promise((resolve, reject) => {
    const died = (code: number | null) => reject(new Error(`The process for seed ${task.from} on ended with ${code}`));
    child.once("exit", died);
    child.once("message", (result) => {
      child.off("exit", died);
      resolve(result as CampaignResult);
    });
    child.send(task);
  });
}
