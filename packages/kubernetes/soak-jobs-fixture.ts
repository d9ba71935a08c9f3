import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Answers } from "#local/e2e/answers.ts";
import type { Job } from "#local/e2e/job-client.ts";
import type { MortalStack } from "./soak-stack-fixture.ts";

/** How a job of a soak is meant to end; its name begins with it, since the answer to its submit may be lost. */
const lives = {
  completes: { command: "sleep 1", duration_hours: 1 },
  fails: { command: "sleep 2; exit 4", duration_hours: 1 },
  expires: { command: "while :; do sleep 1; done", duration_hours: 0.001 },
  cancelled: { command: "while :; do sleep 1; done", duration_hours: 1 },
} as const;

type Life = keyof typeof lives;

const ends: Readonly<Record<Life, Pick<Job, "status" | "status_reason">>> = {
  completes: { status: "completed", status_reason: "command exited with code 0" },
  fails: { status: "failed", status_reason: "command exited with code 4" },
  expires: { status: "expired", status_reason: "Its time was over" },
  cancelled: { status: "cancelled", status_reason: "Cancelled by its owner" },
};

/** One GPU the most often; 16 are two machines. */
const gpuCounts = [1, 1, 1, 1, 2, 2, 4, 8, 16];
/** From an answered submit to what is done to the job next. */
const longestPauseMs = 5_000;

export interface SoakUsers {
  /** Submits, extends and cancels jobs, so many one after the other, within about this time. */
  run(most: number, withinMs: number): Promise<void>;
  /** Submits one job after the other on a disk of this name until the time is over, a new one once the last is over. */
  runOnDisk(name: string, withinMs: number): Promise<void>;
}

export function soakUsers(
  stack: MortalStack,
  { answers, files, random }: { readonly answers: Answers; readonly files: string; readonly random: () => number },
): SoakUsers {
  let last = 0;
  const pick = <Value>(values: readonly Value[]) => values[Math.floor(random() * values.length)] as Value;
  const submit = (life: Life, more: object) => {
    last += 1;
    const begun = `echo begun >>${join(files, `job-${last}`)}.\${NODE_RANK:-0}`;
    const { command, duration_hours } = lives[life];
    const body = { instance_type: "p5.48xlarge", env_vars: { TOKEN: `secret-${last}` }, ...more };
    const named = { ...body, duration_hours, name: `${life}-${last}`, command: `${begun}; ${command}` };
    return stack.call((jobs) => answers.submit(jobs, named));
  };
  const change = async (id: string) => {
    await sleep(random() * longestPauseMs);
    await stack.call((jobs) => answers.extend(jobs, id, 0.5));
    await sleep(random() * longestPauseMs);
    await stack.answered((jobs) => answers.cancel(jobs, id));
  };
  return {
    async run(most, withinMs) {
      const changing: Promise<void>[] = [];
      for (let count = 0; count < most; count += 1) {
        const life = pick(Object.keys(lives) as Life[]);
        const id = await submit(life, { gpu_count: pick(gpuCounts) });
        if (id !== undefined && life === "cancelled") changing.push(change(id));
        await sleep((random() * 2 * withinMs) / most);
      }
      await Promise.all(changing);
    },
    async runOnDisk(disk_name, withinMs) {
      const end = performance.now() + withinMs;
      while (performance.now() < end) {
        // One whose submit was not answered may have the disk.
        const id = await submit(pick(["completes", "fails"]), { gpu_count: 1, disk_name }).catch(unlessInUse);
        while (id !== undefined && !isEnded(await stack.answered((jobs) => jobs.get(id)))) await sleep(500);
        await sleep(random() * longestPauseMs);
      }
    },
  };
}

export function isMeantToBeCancelled({ name }: Pick<Job, "name">): boolean {
  return name.startsWith("cancelled-");
}

/** In words, how a job ended otherwise than it should. */
export function wrongEnd({ job_id, name, status, status_reason, timeline }: Job): string[] {
  const end = ends[name.split("-")[0] as Life];
  if (status === end.status && status_reason === end.status_reason) return [];
  return [`${job_id} (${name}) is ${status}: ${status_reason}; ${JSON.stringify(timeline)}`];
}

function unlessInUse(error: unknown): undefined {
  if (!String(error).includes("in use by")) throw error;
}

function isEnded({ status }: Job): boolean {
  return ["completed", "failed", "expired", "cancelled"].includes(status);
}
