import { randomInt } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { seededRandom } from "../fixtures/random.ts";
import { type Answers, type Kind, noteAnswers } from "./answers.ts";
import { type BegunCommands, begunTwice, noteBegunCommands } from "./begun-commands.ts";
import { type InstanceAnswers, type InstanceKind, noteInstanceAnswers } from "./instance-answers.ts";
import { type InstanceClient, instanceClient } from "./instance-client.ts";
import { ApiError, isOver, type Job, type JobClient, jobClient } from "./job-client.ts";
import { canListProcesses, eventually } from "./processes.ts";
import { watchSlots } from "./slot-watch.ts";
import { openStackFixture, type StackFixture, type StackProcess } from "./stack-fixture.ts";

const seed = Number(process.env.CRASH_SEED ?? randomInt(1_000_000));
const settings = {
  SWEEP_SECONDS: "1",
  MIN_DURATION_HOURS: "0.001",
  LOCAL_NODES: "g5.12xlarge=2,g4dn.2xlarge=1,c7i.8xlarge=2,g6.12xlarge=2",
};
const slots = {
  "g5-12xlarge-1": 4,
  "g5-12xlarge-2": 4,
  "g4dn-2xlarge-1": 1,
  "c7i-8xlarge-1": 1,
  "c7i-8xlarge-2": 1,
  "g6-12xlarge-1": 4,
  "g6-12xlarge-2": 4,
};
const sizes = [
  { instance_type: "g5.12xlarge", gpu_count: 1 },
  { instance_type: "g5.12xlarge", gpu_count: 2 },
  { instance_type: "g5.12xlarge", gpu_count: 4 },
  { instance_type: "g4dn.2xlarge" },
  { instance_type: "c7i.8xlarge" },
];
const lives: readonly { readonly command?: string; readonly duration_hours: number }[] = [
  { command: "sleep 0.2", duration_hours: 1 },
  { command: "sleep 0.5", duration_hours: 1 },
  { command: "sleep 1; exit 4", duration_hours: 1 },
  { command: "sleep 2 & sleep 1", duration_hours: 1 },
  { duration_hours: 0.001 },
  // Limited, since over a hundred rounds nothing else would get a machine.
  { duration_hours: 0.004 },
];
const rounds = Number(process.env.CRASH_ROUNDS ?? 30);
const clients = 3;
const submitsEach = 3;
/** Changes of each kind in a round, beside the submits. An owner has at most 500 disks, including deleted ones. */
const changesEach = 3;
const kinds: readonly Kind[] = ["submitted", "extended", "cancelled", "created", "renamed", "deleted", "undeleted"];
const instanceKinds: readonly InstanceKind[] = ["made", "started", "stopped"];
const limitMs = 120_000 + rounds * 60_000;
/** Limit of each wait, below the limit of the test, so that a failure names the event. */
const patienceMs = limitMs / 2;
/** Number of last rounds that are compared at the end, since only the newest 1,000 jobs are kept. */
const roundsAtEnd = 60;
const mostKept = 1_000;
/** Reports whether a run must be seen before the kill of this round. Other kills come amid the answers. */
const isSeenFirst = (round: number) => round % 2 === 0;
const longestPauseMs = 150;
const longestLifeMs = 1_200;
/** Job of some seconds, so that a poll sees it. */
const seenJob = { instance_type: "c7i.8xlarge", command: "sleep 60", duration_hours: 0.001 };
/** Job that lasts until it is changed. */
const changedJob = { instance_type: "g4dn.2xlarge", command: "sleep 60", duration_hours: 0.004 };

let fixture: StackFixture;
let random: () => number;
let watch: ReturnType<typeof watchSlots>;
let begun: BegunCommands;

// Each try needs a new home, because another stack may still use the last one.
beforeEach(() => {
  fixture = openStackFixture("berth-crash-");
  random = seededRandom(seed);
  watch = watchSlots(fixture.home, slots);
  begun = noteBegunCommands();
});

afterEach(async () => {
  watch.stop();
  await fixture.close();
  begun.close();
});

describe("the local stack", () => {
  if (!canListProcesses) {
    it("needs a list of all processes", ({ skip }) => skip("this machine has no /proc"));
    return;
  }

  it(`loses no answered request when it is killed ${rounds} times while jobs are submitted and changed (CRASH_SEED=${seed})`, {
    timeout: limitMs,
    retry: 0,
  }, async () => {
    const { answered, instances, lost, key } = await crashAgainAndAgain();

    const stack = await start();
    const jobs = jobClient(stack.url, key);
    for (const answers of answered.slice(-roundsAtEnd)) lost.push(...(await answers.lost(jobs, patienceMs)));
    const instancesNow = instanceClient(stack.url, key);
    for (const answers of instances) lost.push(...(await answers.lost(instancesNow, patienceMs)));
    await stopInstances(instancesNow, instances);
    await cancelAll(jobs);
    const all = await eventually(
      () => everyJob(jobs),
      (list) => list.every(isOver),
      patienceMs,
    );
    const free = await eventually(
      () => jobs.availability(),
      (pools) => Object.values(pools).every(isFree),
      patienceMs,
    );
    const { seen, conflicts, runsByKey } = watch.stop();
    const code = await stack.kill("SIGTERM");
    const counts = { ...getSum(kinds, answered), ...getSum(instanceKinds, instances) };
    const commands = begun.read();
    const said = `${seen.runs} runs seen, ${commands.length} commands begun`;
    process.stdout.write(`Killed ${rounds} times, ${said}; answered: ${JSON.stringify(counts)}\n`);

    expect(lost).toEqual([]);
    for (const kind of [...kinds, ...instanceKinds]) expect(counts[kind], kind).toBeGreaterThanOrEqual(rounds);
    expect(all.length).toBeGreaterThanOrEqual(Math.min(counts.submitted, mostKept));
    expect(all.flatMap(illegalMoves)).toEqual([]);
    expect(all.flatMap(wrongFailure)).toEqual([]);
    expect(seen.runs).toBeGreaterThanOrEqual(Math.ceil(rounds / 2));
    expect(conflicts).toEqual([]);
    expect(begunTwice(commands)).toEqual([]);
    expect(commands.length).toBeGreaterThanOrEqual(all.filter(({ status }) => status === "completed").length);
    expect(runTooOften(runsByKey, instances)).toEqual([]);
    expect(Object.keys(free)).toEqual(["a10g", "cpu-x86", "l4", "t4-small"]);
    expect([code, fixture.processes()]).toEqual([0, []]);
  });
});

interface Crashed {
  /** Answers of each round. */
  readonly answered: readonly Answers[];
  readonly instances: readonly InstanceAnswers[];
  /** Answers that the next stack had lost, in words. */
  readonly lost: string[];
  /** Key of the first stack. */
  readonly key: string;
}

function start(): Promise<StackProcess> {
  return fixture.start({ ...settings, LOCAL_PATH: begun.directory });
}

/** Runs stacks in one home, one by one, and kills each at a random moment while clients submit and change. */
async function crashAgainAndAgain(): Promise<Crashed> {
  const answered: Answers[] = [];
  const instances: InstanceAnswers[] = [];
  const lost: string[] = [];
  let key = "";
  for (let round = 0; round < rounds; round += 1) {
    const stack = await start();
    key ||= (await stack.env()).API_KEY ?? "";
    const jobs = jobClient(stack.url, key);
    lost.push(...((await answered.at(-1)?.lost(jobs, patienceMs)) ?? []));
    const client = instanceClient(stack.url, key);
    lost.push(...((await instances.at(-1)?.lost(client, patienceMs)) ?? []));
    // Otherwise, instances would take all machines in the end.
    await stopInstances(client, instances);
    const [answers, ofInstances] = [noteAnswers(), noteInstanceAnswers()];
    answered.push(answers);
    instances.push(ofInstances);
    const submitting = Array.from({ length: clients }, () => untilDead(submitsEach, () => submitOne(jobs, answers)));
    const changing = [
      untilDead(changesEach, () => changeOne(jobs, answers)),
      untilDead(changesEach, (n) => renameOne(jobs, answers, `disk-${round}-${n}`)),
      untilDead(changesEach, (n) => deleteOne(jobs, answers, { name: `deleted-${round}`, isNew: n === 0 })),
      untilDead(changesEach, (n) => changeInstance(client, ofInstances, `instance-${round}-${n}`)),
    ];
    // On a slow machine, the kill would come before the first answer.
    await eventually(
      () => ({ ...answers.count(), ...ofInstances.count() }),
      (counts) => [...kinds, ...instanceKinds].every((kind) => counts[kind] > 0),
      patienceMs,
    );
    if (isSeenFirst(round)) await seeRun(jobs, answers);
    await sleep(random() * (isSeenFirst(round) ? longestLifeMs : longestPauseMs));
    await stack.kill("SIGKILL");
    await Promise.all([...submitting, ...changing]);
    begun.read();
  }
  return { answered, instances, lost, key };
}

/** Waits until a new run lives. */
async function seeRun(jobs: JobClient, answers: Answers): Promise<void> {
  const { runs } = watch.seen();
  await answers.submit(jobs, saying(seenJob));
  await eventually(
    () => watch.seen().runs,
    (now) => now > runs,
    patienceMs,
  );
}

/** Repeats a request until the stack is dead. An answer other than 200 fails the test. */
async function untilDead(most: number, act: (n: number) => Promise<void>): Promise<void> {
  for (let count = 0; count < most; count += 1) {
    try {
      await act(count);
      await sleep(random() * longestPauseMs);
    } catch (error) {
      if (error instanceof ApiError) throw error;
      return;
    }
  }
}

async function submitOne(jobs: JobClient, answers: Answers): Promise<void> {
  await answers.submit(jobs, saying({ ...pick(sizes), ...pick(lives) }));
}

/** Returns the job with a command that reports its beginning. */
function saying<Submitted extends { readonly command?: string }>(job: Submitted): Submitted {
  return job.command === undefined ? job : { ...job, command: begun.saying(job.command) };
}

async function changeOne(jobs: JobClient, answers: Answers): Promise<void> {
  const id = await answers.submit(jobs, saying(changedJob));
  await answers.extend(jobs, id, 0.001);
  await sleep(random() * longestPauseMs);
  await answers.extend(jobs, id, 0.002);
  await answers.cancel(jobs, id);
}

async function renameOne(jobs: JobClient, answers: Answers, name: string): Promise<void> {
  await answers.createDisk(jobs, name);
  await answers.renameDisk(jobs, name, `${name}-a`);
  await sleep(random() * longestPauseMs);
  await answers.renameDisk(jobs, `${name}-a`, `${name}-b`);
}

/** Deletes and undeletes one disk repeatedly. */
async function deleteOne(jobs: JobClient, answers: Answers, disk: { name: string; isNew: boolean }): Promise<void> {
  if (disk.isNew) await answers.createDisk(jobs, disk.name);
  await answers.deleteDisk(jobs, disk.name);
  await sleep(random() * longestPauseMs);
  await answers.undeleteDisk(jobs, disk.name);
}

async function changeInstance(client: InstanceClient, instances: InstanceAnswers, name: string): Promise<void> {
  const id = await instances.create(client, name);
  await sleep(random() * longestPauseMs);
  await instances.stop(client, id);
  // An instance that is being stopped cannot be started.
  await client.until(id, ["stopped"], patienceMs);
  await instances.start(client, id);
}

/** Stops the instances of the last round, and those whose creation was never answered. */
async function stopInstances(client: InstanceClient, instances: readonly InstanceAnswers[]): Promise<void> {
  const answered = new Set(instances.flatMap((answers) => [...answers.starts().keys()]));
  const others = (await client.list()).filter(({ instanceId }) => !answered.has(instanceId));
  const running = others.filter(({ status }) => status !== "stopped");
  await instances.at(-1)?.stopAll(client);
  await Promise.all(running.map(({ instanceId }) => client.stop(instanceId)));
}

/** Returns in words the records that ran too often: a job more than once, an instance more often than requested. */
function runTooOften(runsByKey: ReadonlyMap<string, number>, instances: readonly InstanceAnswers[]): string[] {
  const starts = instances.flatMap((answers) => [...answers.starts()]);
  return [...runsByKey].flatMap(([key, runs]) => {
    const [, most] = starts.find(([id]) => key.endsWith(id)) ?? [key, 1];
    return runs > most ? [`${key} ran ${runs} times, not ${most}`] : [];
  });
}

interface Counting<Of extends string> {
  count(): Readonly<Record<Of, number>>;
}

function getSum<Of extends string>(all: readonly Of[], answered: readonly Counting<Of>[]): Record<Of, number> {
  const counts = answered.map((answers) => answers.count());
  const sum = (kind: Of) => counts.reduce((total, count) => total + count[kind], 0);
  return Object.fromEntries(all.map((kind) => [kind, sum(kind)])) as Record<Of, number>;
}

async function cancelAll(jobs: JobClient): Promise<void> {
  const unfinished = (await jobs.list()).filter(({ status }) => ["queued", "preparing", "active"].includes(status));
  await Promise.all(
    unfinished.map(({ job_id }) =>
      jobs.cancel(job_id).catch((error: unknown) => {
        // The job may have ended by itself.
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

/** Possible next statuses of each status (docs/apis/gpu-dev.md#statuses). */
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

/** Returns a failure other than that of the one failing command, since no kill of the stack fails a job. */
function wrongFailure({ job_id, status, status_reason }: Job): string[] {
  const isRight = status !== "failed" || status_reason === "command exited with code 4";
  return isRight ? [] : [`${job_id}: ${status_reason}`];
}

function pick<Value>(values: readonly Value[]): Value {
  return values[Math.floor(random() * values.length)] as Value;
}
