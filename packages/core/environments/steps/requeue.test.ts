import { expect, test } from "vitest";
import {
  type MemoryWorld,
  memoryWorld,
  newEnvironment,
  newNodes,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import { findDisk } from "../../disks/record.ts";
import type { InterruptionKind } from "../../ports/compute.ts";
import { reservation } from "../record/policy.ts";
import type { Environment } from "../record/record.ts";
import { requestCancel, requestExtension } from "../verbs/actions.ts";
import { createEnvironment, type NewEnvironment } from "../verbs/create.ts";
import { followLog, readLog } from "../verbs/read-log.ts";

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

const requeued = { ...reservation, onInterruption: "requeue" } as const;

interface Running {
  readonly world: MemoryWorld;
  readonly read: () => Promise<Environment>;
  /** The name of its first machine. */
  readonly node: string;
}

/** A world with three Spot machines, and a job that asks to be queued again and is active on one of them. */
async function running(more: Partial<NewEnvironment> = {}, options: WorldOptions = {}): Promise<Running> {
  const nodes = newNodes({ h100: 3 }).map((node) => ({ ...node, providerId: `aws:///zone-a/i-${node.name}` }));
  const world = await memoryWorld({ nodes, ...options });
  const wanted = newEnvironment("job", { hours: 24, command: "python train.py", disk: "data" });
  await createEnvironment(world.as("alice"), { ...wanted, policy: requeued, ...more });
  await world.advance(10 * SECOND);
  const read = () => world.read("alice", "job");
  const { phase, run } = await read();
  if (phase !== "active") throw new Error(`The job is ${phase}`);
  return { world, read, node: run.machines[0]?.name ?? "" };
}

async function notify({ world, node }: Running, kind: InterruptionKind = "spot"): Promise<void> {
  await world.queue.send("work", { look: "machine|-", notice: { machine: `i-${node}`, kind, at: world.clock.now() } });
  await world.deliver();
}

async function phasesOf({ read }: Running): Promise<string[]> {
  const { events } = await read();
  return events.timeline.map(({ phase }) => phase).filter((phase, at, all) => phase !== all[at - 1]);
}

async function loseMachine({ world, read }: Running): Promise<void> {
  const [machine] = (await read()).run.machines;
  if (!machine) throw new Error("The job has no machine");
  world.compute.removeNode(machine.name);
  world.compute.setMachine(machine.uid, "gone");
}

/** Its removal takes long enough for a request in between. */
const slowly = { delays: { removeMs: 20 * SECOND } };

async function evicted({ world, read }: Running): Promise<Environment> {
  world.compute.evict((await read()).uid, 1);
  for (let passed = 0; passed < 60; passed++) {
    const job = await read();
    if (job.phase === "stopping") return job;
    await world.advance(SECOND);
  }
  throw new Error("The job does not leave");
}

async function readDisk({ world, read }: Running) {
  const { owner, disk } = await read();
  return findDisk(world.ctx, owner, disk?.uid ?? "");
}

test("a job leaves a Spot machine before EC2 takes it back, and goes on elsewhere with its disk and the rest of its time", async () => {
  const job = await running();
  const { world, node, read } = job;
  const { uid, times, size } = await read();
  const volume = (await readDisk(job))?.volume?.id;

  const noticedAt = world.clock.now();
  await notify(job);
  await world.advance(60 * SECOND);
  const before = await read();
  await world.advance(60 * SECOND);

  const after = await read();
  const ended = world.compute.history().find((event) => event.uid === uid && event.kind === "ended");
  expect(before).toMatchObject({ phase: "active", run: { n: 1 } });
  expect(after).toMatchObject({ phase: "active", run: { n: 2 }, starts: 1 });
  expect(after.run.machines[0]?.name).not.toBe(node);
  expect((await readDisk(job))?.volume?.id).toBe(volume);
  expect(ended?.at).toBeLessThan(noticedAt + 2 * MINUTE - 30 * SECOND);
  // It has neither more nor less time than it asked for.
  const stoppedAt = after.end.stoppingAt ?? 0;
  expect(after.size.wantedMs).toBe((times.endsAt ?? 0) - stoppedAt);
  expect(after.times).toMatchObject({ earlierMs: size.wantedMs - after.size.wantedMs });
  expect(await phasesOf(job)).toEqual(["queued", "preparing", "active", "stopping", "queued", "preparing", "active"]);
  expect(after.events.timeline.map(({ reason }) => reason)).toContainEqual(
    `EC2 Spot takes its machine back: ${node}; it is queued again`,
  );
});

test("its command gets SIGTERM, and the log has what it prints then, and the output of the next run", async () => {
  const job = await running();
  const { world, read } = job;
  const { uid } = await read();
  world.compute.print(uid, 1, "step 1\n");
  world.compute.program(uid, { kind: "lives" }, { log: "step 2\n", lastWords: "checkpoint saved\n" });

  for (const run of [1, 2]) {
    await notify({ ...job, node: (await read()).run.machines[0]?.name ?? "" });
    await world.advance(2 * MINUTE);
    expect(await read()).toMatchObject({ phase: "active", run: { n: run + 1 } });
  }
  // A read has copies made for two minutes.
  await readLog(world.as("alice"), "job");
  await world.advance(5 * SECOND);

  const text = "step 1\nstep 2\ncheckpoint saved\nstep 2\n";
  expect(await readLog(world.as("alice"), "job")).toMatchObject({ text, cut: false, next: text.length, ended: false });
  expect(
    await followLog(world.as("alice"), "job", { after: 20, mostBytes: 100, waitMs: 0, wantsFresh: true }),
  ).toMatchObject({
    text: text.slice(20),
    cut: false,
  });
});

test.each([
  ["a machine that is lost without a notice", loseMachine, /^Its machine was lost: h100-\d; it is queued again$/],
  [
    "a drain",
    async ({ world, read }: Running) => world.compute.evict((await read()).uid, 1),
    /^it was evicted from its machine; it is queued again$/,
  ],
])("%s returns a job to the queue", async (_, interrupt, reason) => {
  const job = await running();

  await interrupt(job);
  await job.world.advance(2 * MINUTE);

  const { phase, run, events } = await job.read();
  expect([phase, run.n]).toEqual(["active", 2]);
  expect(events.timeline.map((entry) => entry.reason)).toContainEqual(expect.stringMatching(reason));
});

test("a lost machine of a job of several machines returns the whole job to the queue", async () => {
  const nodes = newNodes({ h100: 4 });
  const job = await running(newEnvironment("job", { gpus: 16, hours: 24 }), { nodes });

  await loseMachine(job);
  await job.world.advance(3 * MINUTE);

  const { phase, run } = await job.read();
  expect([phase, run.n, run.machines.length]).toEqual(["active", 2, 2]);
});

test("a job that did not ask for it fails, and says why", async () => {
  const job = await running({ policy: reservation });

  await loseMachine(job);
  await job.world.advance(2 * MINUTE);

  expect(await job.read()).toMatchObject({ phase: "failed", reason: `Its machine was lost: ${job.node}` });
});

test("a command that fails by itself after a notice is not run again", async () => {
  const job = await running();
  await notify(job);

  job.world.compute.kill((await job.read()).uid, 1, "SIGSEGV");
  await job.world.advance(2 * MINUTE);

  expect(await job.read()).toMatchObject({ phase: "failed", starts: 0 });
});

test("a command that is killed after a notice is queued again", async () => {
  const job = await running();
  await notify(job);

  job.world.compute.kill((await job.read()).uid, 1, "SIGTERM");
  await job.world.advance(2 * MINUTE);

  expect(await job.read()).toMatchObject({ phase: "active", run: { n: 2 } });
});

test("a job with less than five minutes left stays until its machine goes, and then fails", async () => {
  const job = await running(newEnvironment("job", { hours: 0.1 }));
  await job.world.advance(2 * MINUTE);
  await notify(job);
  await job.world.advance(100 * SECOND);
  const before = await job.read();

  await loseMachine(job);
  await job.world.advance(MINUTE);

  expect(before.phase).toBe("active");
  expect(await job.read()).toMatchObject({
    phase: "failed",
    reason: `Its machine was taken back by EC2 Spot: ${job.node} (less than 5 minutes before its end)`,
  });
});

test("the eleventh interruption ends a job", async () => {
  const job = await running();
  for (let run = 1; run <= 11; run++) {
    job.world.compute.evict((await job.read()).uid, run);
    await job.world.advance(2 * MINUTE);
  }

  expect(await job.read()).toMatchObject({
    phase: "failed",
    run: { n: 11 },
    reason: "it was evicted from its machine (interrupted 11 times)",
  });
});

test("a job that is cancelled on its way back to the queue ends, and its disk is backed up", async () => {
  const job = await running({}, slowly);
  const { world, read } = job;
  const stopping = await evicted(job);

  await requestCancel(world.as("alice"), "job");
  await world.advance(2 * MINUTE);

  expect([stopping.phase, stopping.end.outcome]).toEqual(["stopping", null]);
  expect(await read()).toMatchObject({ phase: "cancelled", disk: { released: true } });
  expect(await readDisk(job)).toMatchObject({ heldBy: null, snapshots: [{ completed: true }] });
});

test("a job that is cancelled while it is queued again is backed up too", async () => {
  const job = await running({}, { nodes: newNodes({ h100: 1 }) });
  const { world, read } = job;
  await loseMachine(job);
  await world.advance(2 * MINUTE);
  const queued = await read();

  await requestCancel(world.as("alice"), "job");
  await world.advance(2 * MINUTE);

  expect(queued).toMatchObject({ phase: "queued", times: { endsAt: null }, disk: { attached: false, written: true } });
  expect(await read()).toMatchObject({ phase: "cancelled", disk: { released: true } });
  expect((await readDisk(job))?.snapshots).toMatchObject([{ completed: true }]);
});

test("an extension that is requested on the way back to the queue counts", async () => {
  const job = await running({}, slowly);
  const { world, read } = job;
  await evicted(job);

  await requestExtension(world.as("alice"), "job", HOUR);
  await world.advance(2 * MINUTE);

  const { phase, size, times } = await read();
  expect(phase).toBe("active");
  expect(size.wantedMs + (times.earlierMs ?? 0)).toBe(25 * HOUR);
});

test("a command that had exited before its job left its machine is not run again", async () => {
  const job = await running();
  const { world, read } = job;
  await notify(job);
  const { observe } = world.compute;
  // The exit is seen only after the decision to leave.
  world.compute.observe = async (...of) => {
    const seen = await observe(...of);
    const { phase, end } = await read();
    if (!seen || phase !== "stopping" || end.outcome) return seen;
    return { ...seen, state: "ended", exitCode: 0, endedAt: (end.stoppingAt ?? 0) - 1 };
  };
  await world.advance(2 * MINUTE);

  expect(await read()).toMatchObject({ phase: "completed", run: { n: 1 } });
});
