import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "#testing/random.ts";
import { ApiError, isOver, type Job, type JobClient, jobClient } from "./job-client.ts";
import { canListProcesses, eventually } from "./processes.ts";
import { watchSlots } from "./slot-watch.ts";
import { openStackTrial, type StackTrial } from "./stack-trial.ts";

const seed = Number(process.env.CRASH_SEED ?? randomInt(1_000_000));
const settings = {
  SWEEP_SECONDS: "1",
  MIN_DURATION_HOURS: "0.001",
  LOCAL_NODES: "g5.12xlarge=2,g4dn.2xlarge=1,c7i.8xlarge=2",
};
const slots = {
  ...{ "g5-12xlarge-1": 4, "g5-12xlarge-2": 4 },
  ...{ "g4dn-2xlarge-1": 1, "c7i-8xlarge-1": 1, "c7i-8xlarge-2": 1 },
};
const sizes = [
  { instance_type: "g5.12xlarge", gpu_count: 1 },
  { instance_type: "g5.12xlarge", gpu_count: 2 },
  { instance_type: "g5.12xlarge", gpu_count: 4 },
  { instance_type: "g4dn.2xlarge" },
  { instance_type: "c7i.8xlarge" },
];
const lives = [
  { command: "sleep 0.2" },
  { command: "sleep 0.5" },
  { command: "sleep 1; exit 4" },
  { command: "sleep 2 & sleep 1" },
  { duration_hours: 0.001 },
  // Not for ever: over a hundred rounds nothing else would get a place.
  { duration_hours: 0.004 },
];
const rounds = Number(process.env.CRASH_ROUNDS ?? 30);
const clients = 3;
const submitsEach = 3;
const longestRoundMs = 1_200;
/** In every second round a run is seen before the kill; the others are killed whatever there is. */
const isSeenFirst = (round: number) => round % 2 === 0;
/** Lives for some seconds, so that whoever looks now and then sees it. */
const seenJob = { instance_type: "c7i.8xlarge", duration_hours: 0.001 };

let trial: StackTrial;
let random: () => number;
let watch: ReturnType<typeof watchSlots>;

// Anew for each try: a home that another stack still uses would say nothing of this one.
beforeEach(() => {
  trial = openStackTrial("berth-crash-");
  random = seededRandom(seed);
  watch = watchSlots(trial.home, slots);
});

afterEach(async () => {
  watch.stop();
  await trial.close();
});

describe("the local stack", () => {
  if (!canListProcesses) {
    it("needs a list of all processes", ({ skip }) => skip("this machine has no /proc"));
    return;
  }

  it(`loses nothing it answered when it is killed ${rounds} times while jobs are submitted (CRASH_SEED=${seed})`, {
    timeout: 60_000 + rounds * 30_000,
  }, async () => {
    const { answered, key } = await crashAgainAndAgain();

    const stack = await trial.start(settings);
    const jobs = jobClient(stack.url, key);
    const found = await Promise.all(answered.map((id) => jobs.get(id)));
    await cancelAll(jobs);
    const all = await eventually(
      () => everyJob(jobs),
      (list) => list.every(isOver),
    );
    const free = await eventually(
      () => jobs.availability(),
      (pools) => Object.values(pools).every(isFree),
    );
    const { seen, conflicts } = watch.stop();
    const code = await stack.kill("SIGTERM");

    expect(found.map(({ job_id }) => job_id)).toEqual(answered);
    expect(answered.length).toBeGreaterThan(rounds);
    expect(all.length).toBeGreaterThanOrEqual(answered.length);
    expect(all.flatMap(illegalMoves)).toEqual([]);
    expect(all.flatMap(wrongFailure)).toEqual([]);
    expect(seen.runs).toBeGreaterThanOrEqual(Math.ceil(rounds / 2));
    expect(conflicts).toEqual([]);
    expect(Object.keys(free)).toEqual(["a10g", "cpu-x86", "t4-small"]);
    expect([code, trial.processes()]).toEqual([0, []]);
  });
});

/** Stacks in one home, one after the other, each killed at a random moment while several clients submit. The key is the first one's. */
async function crashAgainAndAgain(): Promise<{ readonly answered: readonly string[]; readonly key: string }> {
  const answered: string[] = [];
  let key = "";
  for (let round = 0; round < rounds; round += 1) {
    const stack = await trial.start(settings);
    key ||= (await stack.env()).API_KEY ?? "";
    const jobs = jobClient(stack.url, key);
    const before = answered.length;
    const submitting = Array.from({ length: clients }, () => submitUntilDead(jobs, answered));
    // A slow machine would be killed before it had anything to lose.
    await eventually(
      () => answered.length,
      (count) => count > before,
    );
    if (isSeenFirst(round)) await seeRun(jobs, answered);
    await sleep(random() * longestRoundMs);
    await stack.kill("SIGKILL");
    await Promise.all(submitting);
  }
  return { answered, key };
}

/** Waits until a run was seen to live that was not seen before. */
async function seeRun(jobs: JobClient, answered: string[]): Promise<void> {
  const { runs } = watch.seen();
  answered.push(await jobs.submit(seenJob));
  await eventually(
    () => watch.seen().runs,
    (now) => now > runs,
  );
}

/** Submits one job after the other until the stack does not answer any more; an answer other than 200 is a fault. */
async function submitUntilDead(jobs: JobClient, answered: string[]): Promise<void> {
  for (let count = 0; count < submitsEach; count += 1) {
    try {
      answered.push(await jobs.submit({ ...pick(sizes), ...pick(lives) }));
      await sleep(random() * 150);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      return;
    }
  }
}

async function cancelAll(jobs: JobClient): Promise<void> {
  const unfinished = (await jobs.list()).filter(({ status }) => ["queued", "preparing", "active"].includes(status));
  await Promise.all(
    unfinished.map(({ job_id }) =>
      jobs.cancel(job_id).catch((error: unknown) => {
        // It may have come to its own end meanwhile.
        if (!String(error).includes(`Cannot cancel job ${job_id} in status`)) throw error;
      }),
    ),
  );
}

async function everyJob(jobs: JobClient): Promise<Job[]> {
  return Promise.all((await jobs.list()).map(({ job_id }) => jobs.get(job_id)));
}

function isFree({
  total,
  available,
  in_use,
  queued,
}: {
  total: number;
  available: number;
  in_use: number;
  queued: number;
}) {
  return available === total && in_use === 0 && queued === 0;
}

/** Moves that the state machine of the API does not have (docs/apis/gpu-dev.md#statuses). */
const next: Readonly<Record<Job["status"], readonly Job["status"][]>> = {
  queued: ["queued", "preparing", "active", "cancelled", "failed"],
  preparing: ["preparing", "queued", "active", "cancelled", "failed", "completed", "expired"],
  active: ["active", "completed", "failed", "expired", "cancelled"],
  completed: ["completed"],
  expired: ["expired"],
  cancelled: ["cancelled"],
  failed: ["failed"],
};

function illegalMoves({ job_id, timeline }: Job): string[] {
  return timeline.slice(1).flatMap(({ status }, at) => {
    const before = timeline[at]?.status ?? "queued";
    return next[before].includes(status) ? [] : [`${job_id}: ${before} → ${status}`];
  });
}

/** Only one of the commands fails, and no kill of the stack makes another one fail. */
function wrongFailure({ job_id, status, status_reason }: Job): string[] {
  const isRight = status !== "failed" || status_reason === "command exited with code 4";
  return isRight ? [] : [`${job_id}: ${status_reason}`];
}

function pick<Value>(values: readonly Value[]): Value {
  return values[Math.floor(random() * values.length)] as Value;
}
