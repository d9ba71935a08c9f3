import { expect, test } from "vitest";
import {
  type MemoryWorld,
  memoryWorld,
  newEnvironment,
  newNodes,
  type WorldOptions,
} from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { listNodes } from "../../pools/capacity/list-nodes.ts";
import { noteMachineNotice } from "../../pools/capacity/machine-notice.ts";
import { planPools } from "../../pools/plan/planner.ts";
import type { InterruptionKind } from "../../ports/compute.ts";
import { keyText, poolKey } from "../../store/keys.ts";
import { createEnvironment } from "../verbs/create.ts";
import { currentNotice } from "./notices.ts";

const SECOND = 1_000;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** A world with Spot machines h100-1 and h100-2, whose jobs `one` … run on the first ones. */
async function spotWorld(ids: readonly string[] = ["one"], options: WorldOptions = {}): Promise<MemoryWorld> {
  const nodes = newNodes({ h100: 2 }).map((node) => ({ ...node, providerId: `aws:///zone-a/i-${node.name}` }));
  const world = await memoryWorld({ nodes, ...options });
  for (const id of ids) await createEnvironment(world.as("alice"), newEnvironment(id, { gpus: 8, hours: 24 }));
  await world.advance(5 * SECOND);
  return world;
}

async function machineOf(world: MemoryWorld, id = "one"): Promise<string> {
  return (await world.read("alice", id)).run.machines[0]?.name ?? "";
}

/** Sends a notice of EC2 that is `ageMs` old. */
async function notify(world: MemoryWorld, node: string, kind: InterruptionKind = "spot", ageMs = 0): Promise<void> {
  const notice = { machine: `i-${node}`, kind, at: world.clock.now() - ageMs };
  await world.queue.send("work", { look: "machine|-", notice });
  await world.deliver();
}

async function interruptionsIn(world: MemoryWorld, id = "one"): Promise<(string | null)[]> {
  const { events } = await world.read("alice", id);
  return events.timeline.map(({ reason }) => reason).filter((reason) => reason?.startsWith("Interruption"));
}

test("a Spot interruption warns the owner in the timeline and the terminals, two minutes ahead", async () => {
  const world = await spotWorld();
  const { uid } = await world.read("alice", "one");
  const node = await machineOf(world);

  await notify(world, node);

  const job = await world.read("alice", "one");
  const words = `Interruption: EC2 Spot takes its machine back in 2 minutes: ${node}`;
  const endsAt = world.clock.now() + 2 * MINUTE;
  expect(job).toMatchObject({ phase: "active", run: { interruption: { kind: "spot", node, endsAt } } });
  expect(await interruptionsIn(world)).toEqual([words]);
  expect(world.compute.notices(uid, 1)).toEqual([{ kind: "warning", words, at: world.clock.now(), endsAt }]);
  expect(currentNotice(job)).toMatchObject({ kind: "warning", words, endsAt });
});

test("a job that does not return to the queue keeps its command until its machine goes", async () => {
  const world = await spotWorld();
  const { uid } = await world.read("alice", "one");
  const ended: string[] = [];
  for (const call of ["terminate", "remove"] as const) {
    const real = world.ctx.compute[call] as (...of: unknown[]) => Promise<boolean>;
    const noted = (...of: unknown[]) => {
      ended.push(call);
      return real(...of);
    };
    Object.assign(world.ctx.compute, { [call]: noted });
  }

  await notify(world, await machineOf(world));
  await world.advance(2 * MINUTE);

  expect([(await world.read("alice", "one")).phase, ended]).toEqual(["active", []]);
  expect(world.compute.notices(uid, 1)).toHaveLength(1);
});

test("an interrupted machine gets no job at once, and its other jobs are warned too", async () => {
  const world = await spotWorld([]);
  for (const id of ["one", "two"]) await createEnvironment(world.as("alice"), newEnvironment(id, { gpus: 2 }));
  await world.advance(5 * SECOND);
  const [node, other] = [await machineOf(world, "one"), await machineOf(world, "two")];

  await notify(world, node);
  await createEnvironment(world.as("alice"), newEnvironment("next", { gpus: 2 }));
  await world.advance(5 * SECOND);

  expect(other).toBe(node);
  expect(
    [await interruptionsIn(world, "one"), await interruptionsIn(world, "two")].map(({ length }) => length),
  ).toEqual([1, 1]);
  expect(await machineOf(world, "next")).not.toBe(node);
  expect((await viewPool(world.ctx, "h100"))?.summary).toMatchObject({ free: 6 });
  expect((await listNodes(world.ctx)).find(({ name }) => name === node)).toMatchObject({
    state: "not_ready",
    fault: "Spot interruption",
  });
});

test("a grant on a machine that was interrupted since is not taken", async () => {
  const world = await spotWorld([]);
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  await planPools(world.ctx, [{ look: keyText(poolKey("h100")), for: [keyText(environment)] }]);
  const granted = (await viewPool(world.ctx, "h100"))?.granted[0]?.shares[0]?.node ?? "";

  const notice = { machine: `i-${granted}`, kind: "spot", at: world.clock.now() } as const;
  await noteMachineNotice(world.ctx, notice);
  await world.advance(10 * SECOND);

  const { phase, run } = await world.read("alice", "one");
  expect([phase, run.n]).toEqual(["active", 2]);
  expect(run.machines[0]?.name).not.toBe(granted);
});

test("an interruption outlives listings that do not show it, and ends after a day", async () => {
  const world = await spotWorld([]);
  await createEnvironment(world.as("alice"), newEnvironment("one", { gpus: 2, hours: 72 }));
  await world.advance(5 * SECOND);
  await notify(world, await machineOf(world), "rebalance");
  const countFree = async () => (await viewPool(world.ctx, "h100"))?.summary.free;

  await world.advance(2 * HOUR);
  const later = await countFree();
  await world.advance(23 * HOUR);

  expect([later, await countFree()]).toEqual([8, 14]);
});

test("a repeated notice changes nothing, and a more certain one is announced", async () => {
  const world = await spotWorld();
  const { uid } = await world.read("alice", "one");
  const node = await machineOf(world);

  for (const kind of ["rebalance", "rebalance", "spot", "spot", "rebalance"] as const) {
    await notify(world, node, kind);
    await world.advance(10 * SECOND);
  }

  expect(await interruptionsIn(world)).toEqual([
    `Interruption: EC2 Spot is likely to take its machine back soon: ${node}`,
    `Interruption: EC2 Spot takes its machine back in 2 minutes: ${node}`,
  ]);
  expect(world.compute.notices(uid, 1)).toHaveLength(2);
});

test.each([
  ["three minutes late says so", 3 * MINUTE, ["now"]],
  ["from the future counts from its arrival", -HOUR, ["in 2 minutes"]],
  ["a day late is ignored", 24 * HOUR, []],
])("a notice %s", async (_, ageMs, when) => {
  const world = await spotWorld();
  const node = await machineOf(world);

  await notify(world, node, "spot", ageMs);

  expect(await interruptionsIn(world)).toEqual(
    when.map((words) => `Interruption: EC2 Spot takes its machine back ${words}: ${node}`),
  );
});

test("a notice about a machine of no pool is logged and changes nothing", async () => {
  const logged: string[] = [];
  const keep = (event: string) => void logged.push(event);
  const world = await spotWorld(["one"], { log: { info: keep, warn: keep, error: keep } });
  const before = world.table.all();

  await notify(world, "elsewhere");

  expect(world.table.all()).toEqual(before);
  expect(logged.filter((event) => event.startsWith("interruption"))).toEqual(["interruption ignored"]);
});

test("a repeat reaches the jobs that the first delivery did not", async () => {
  const world = await spotWorld();
  const node = await machineOf(world);
  const queue = { ...world.queue, send: () => Promise.reject(new Error("The queue is away")) };
  const notice = { machine: `i-${node}`, kind: "spot", at: world.clock.now() } as const;
  await noteMachineNotice({ ...world.ctx, queue }, notice);
  const before = await interruptionsIn(world);

  await notify(world, node);

  expect([before.length, (await interruptionsIn(world)).length]).toEqual([0, 1]);
});

test("a job that becomes active on an interrupted machine is warned", async () => {
  const world = await spotWorld([], { delays: { imageMs: 30 * SECOND } });
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(5 * SECOND);
  const { phase, run } = await world.read("alice", "one");

  await notify(world, run.machines[0]?.name ?? "");
  await world.advance(MINUTE);

  expect(phase).toBe("preparing");
  expect((await world.read("alice", "one")).phase).toBe("active");
  expect(await interruptionsIn(world)).toHaveLength(1);
});

test("EC2's notice adds its time to a Spot taint, and holds when the taint goes", async () => {
  const world = await spotWorld();
  const node = await machineOf(world);
  const listed = (await world.compute.listNodes()).find(({ name }) => name === node);
  if (!listed) throw new Error("The machine is not listed");

  world.compute.setNode({ ...listed, interruption: "spot" });
  await world.advance(MINUTE);
  await notify(world, node);
  world.compute.setNode(listed);
  await world.advance(MINUTE);

  expect(await interruptionsIn(world)).toEqual([
    `Interruption: EC2 Spot takes its machine back now: ${node}`,
    `Interruption: EC2 Spot takes its machine back in 2 minutes: ${node}`,
  ]);
});

test("a job is warned although the hint about the notice was lost", async () => {
  const world = await spotWorld();
  const node = await machineOf(world);
  const queue = { ...world.queue, send: async () => Promise.reject(new Error("no queue")) };
  await noteMachineNotice({ ...world.ctx, queue }, { machine: `i-${node}`, kind: "rebalance", at: world.clock.now() });
  const before = await interruptionsIn(world);

  await world.advance(6 * MINUTE);

  expect([before, await interruptionsIn(world)]).toEqual([
    [],
    [`Interruption: EC2 Spot is likely to take its machine back soon: ${node}`],
  ]);
});

test("a notice in the listing warns, and one that ends there is withdrawn", async () => {
  const world = await spotWorld();
  const { uid } = await world.read("alice", "one");
  const node = await machineOf(world);
  const listed = (await world.compute.listNodes()).find(({ name }) => name === node);
  if (!listed) throw new Error("The machine is not listed");

  world.compute.setNode({ ...listed, ready: false, unready: "tainted", interruption: "removal" });
  await world.advance(2 * MINUTE);
  world.compute.setNode(listed);
  await world.advance(2 * MINUTE);

  expect(await interruptionsIn(world)).toEqual([
    `Interruption: its machine is being removed from the cluster: ${node}`,
    `Interruption withdrawn: it keeps its machine ${node}`,
  ]);
  expect(world.compute.notices(uid, 1).map(({ kind }) => kind)).toEqual(["warning", "news"]);
  expect((await viewPool(world.ctx, "h100"))?.summary.free).toBe(8);
});

test("a job that then loses its machine says why", async () => {
  const world = await spotWorld();
  const { run } = await world.read("alice", "one");
  const [machine] = run.machines;
  if (!machine) throw new Error("The job has no machine");
  await notify(world, machine.name);

  world.compute.removeNode(machine.name);
  world.compute.setMachine(machine.uid, "gone");
  await world.advance(MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({
    phase: "failed",
    reason: `Its machine was taken back by EC2 Spot: ${machine.name}`,
  });
});

test.each([
  ["spot", "command was killed by signal SIGTERM (after a Spot interruption notice)"],
  ["removal", "command was killed by signal SIGTERM"],
] as const)("a job that ends by itself after a notice of kind %s says: %s", async (kind, reason) => {
  const world = await spotWorld();
  const { uid } = await world.read("alice", "one");
  await notify(world, await machineOf(world), kind);

  world.compute.kill(uid, 1, "SIGTERM");
  await world.advance(MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "failed", reason });
});
