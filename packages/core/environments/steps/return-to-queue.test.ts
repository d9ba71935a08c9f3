import { expect, test } from "vitest";
import {
  type MemoryWorld,
  memoryWorld,
  newEnvironment,
  newNodes,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import { findDisk } from "../../disks/record.ts";
import type { InterruptionKind, Observation } from "../../ports/compute.ts";
import { keyText } from "../../store/keys.ts";
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

/** Shows the run as ended while `change` returns something for its job, with these fields. */
function showEnd(
  { world, read }: Running,
  change: (job: Environment, seen: Observation) => Partial<Observation> | undefined,
): void {
  const { observe } = world.compute;
  world.compute.observe = async (...of) => {
    const seen = await observe(...of);
    const shown = seen && change(await read(), seen);
    return shown ? { ...seen, state: "ended", ...shown } : seen;
  };
}

/** Signals a change of the run, as the cluster does. */
async function signal({ world, read }: Running): Promise<void> {
  await world.queue.send("work", { look: keyText(await read()), hint: true });
  await world.deliver();
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
    `Queued again with 1439 minutes left: It left its machine before EC2 Spot takes it back: ${node}`,
  );
});

test("a job that leaves a Spot machine gets SIGTERM, and its log keeps the output of all runs", async () => {
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
  [
    "a machine that is lost without a notice",
    loseMachine,
    /^Queued again with 1440 minutes left: Its machine was lost: h100-\d$/,
  ],
  [
    "a drain",
    async ({ world, read }: Running) => world.compute.evict((await read()).uid, 1),
    /^Queued again with 1440 minutes left: it was evicted from its machine$/,
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

test("a job without onInterruption fails with its machine, and says why", async () => {
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

test("a job that is cancelled after it was queued again is backed up", async () => {
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

test("an extension on the way back to the queue lengthens the next run", async () => {
  const job = await running({}, slowly);
  const { world, read } = job;
  await evicted(job);

  await requestExtension(world.as("alice"), "job", HOUR);
  await world.advance(2 * MINUTE);

  const { phase, size, times } = await read();
  expect(phase).toBe("active");
  expect(size.wantedMs + (times.earlierMs ?? 0)).toBe(25 * HOUR);
});

test("a command that exited before the decision to leave is not run again", async () => {
  const job = await running();
  const { world, read } = job;
  await notify(job);
  // The exit is seen only after the decision to leave.
  showEnd(job, ({ phase, end }) => {
    if (phase !== "stopping" || end.outcome) return undefined;
    return { exitCode: 0, endedAt: (end.stoppingAt ?? 0) - 1_000 };
  });
  await world.advance(2 * MINUTE);

  expect(await read()).toMatchObject({ phase: "completed", run: { n: 1 } });
});

test("a command that saves and exits with 0 on SIGTERM runs again, although its end is reported in whole seconds", async () => {
  const job = await running();
  const { world, read } = job;
  await world.advance(350);
  await notify(job);
  showEnd(job, ({ phase, run, end }) => {
    if (phase !== "stopping" || run.n > 1) return undefined;
    return { exitCode: 0, endedAt: Math.floor((end.stoppingAt ?? 0) / 1000) * 1000 };
  });
  await world.advance(2 * MINUTE);

  expect(await read()).toMatchObject({ phase: "active", run: { n: 2 } });
});

test("a job stays out of the queue until its disk is detached from the old machine", async () => {
  const job = await running();
  const { world, read } = job;
  const { findVolume } = world.ctx.volumes;
  let isAttached = true;
  world.ctx.volumes.findVolume = async (id) => {
    const volume = await findVolume(id);
    return volume && { ...volume, attached: isAttached };
  };

  world.compute.evict((await read()).uid, 1);
  await world.advance(MINUTE);
  const waiting = await read();
  isAttached = false;
  await world.advance(2 * MINUTE);

  expect(waiting).toMatchObject({ phase: "stopping", end: { waitsFor: "Waits until its volumes are detached" } });
  expect(await read()).toMatchObject({ phase: "active", run: { n: 2 } });
});

test("the cluster may evict a job until its eleventh run", async () => {
  const job = await running();
  const { apply } = job.world.compute;
  const evictable: boolean[] = [];
  job.world.compute.apply = (run) => {
    evictable.push(run.isEvictable ?? false);
    return apply(run);
  };

  for (let run = 1; run <= 10; run++) {
    job.world.compute.evict((await job.read()).uid, run);
    await job.world.advance(2 * MINUTE);
  }

  expect(evictable).toEqual([...Array.from({ length: 9 }, () => true), false]);
});

test("an extension counts the time of earlier runs towards the most hours in total", async () => {
  const job = await running();
  const { world, read } = job;
  await world.advance(2 * HOUR);
  world.compute.evict((await read()).uid, 1);
  await world.advance(2 * MINUTE);
  const { maxTotalHours } = world.ctx.settings;

  const extend = (hours: number) => requestExtension(world.as("alice"), "job", hours * HOUR);

  expect((await read()).run.n).toBe(2);
  await expect(extend(maxTotalHours - 24 + 1)).rejects.toThrow(`Cannot extend beyond ${maxTotalHours} hours in total`);
  await expect(extend(maxTotalHours - 24)).resolves.toMatchObject({ kind: "extend" });
});

test("a command that exits with 0 in a drain that only its Job has recorded is run again", async () => {
  const job = await running();
  const { world, read } = job;
  showEnd(job, ({ run }) => {
    return run.n > 1 ? undefined : { exitCode: 0, endedAt: world.clock.now() - MINUTE, isDisrupted: true };
  });

  await signal(job);
  await world.advance(2 * MINUTE);

  expect(await read()).toMatchObject({ phase: "active", run: { n: 2 } });
});

test("a command that fails because its peer's machine is silent is run again on all machines", async () => {
  const nodes = newNodes({ h100: 4 });
  const job = await running(newEnvironment("job", { gpus: 16, hours: 24, command: "train" }), { nodes });
  const { world, read } = job;
  showEnd(job, ({ run, phase }, { nodes: [first, ...others] }) => {
    if (run.n > 1 || phase !== "active" || !first) return undefined;
    return { exitCode: 1, endedAt: world.clock.now(), nodes: [{ ...first, silent: "notReady" }, ...others] };
  });

  await signal(job);
  await world.advance(2 * MINUTE);

  expect(await read()).toMatchObject({ phase: "active", run: { n: 2 } });
});
