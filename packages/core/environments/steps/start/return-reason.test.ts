import { expect, test } from "vitest";
import { memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { refreshCapacity } from "../../../pools/capacity/capacity.ts";
import { noteMachineNotice } from "../../../pools/capacity/machine-notice.ts";
import type { ComputeNode } from "../../../ports/compute.ts";
import { createEnvironment } from "../../verbs/create.ts";

const MINUTE = 60_000;

/** Alice's job after its run stayed unbound on the one machine, where `happens` occurred as the run was made. */
async function withdrawnFrom(happens: (world: Awaited<ReturnType<typeof memoryWorld>>, node: ComputeNode) => unknown) {
  const [node] = newNodes({ h100: 1 });
  if (!node) throw new Error("There is no node");
  const world = await memoryWorld({ nodes: [node] });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/1 nodes are available" });
  const { apply } = world.compute;
  world.compute.apply = async (run) => {
    await happens(world, node);
    await apply(run);
  };
  await world.advance(3 * MINUTE);
  return { world, node, environment: await world.read("alice", "one") };
}

test.each<[why: string, changes: Partial<ComputeNode>]>([
  ["which is cordoned", { ready: false, unready: "cordoned" }],
  ["whose taint keeps it for other runs", { ready: false, unready: "tainted" }],
  ["which is not ready", { ready: false, unready: "notReady" }],
  ["which accepts no new runs now", { ready: false }],
])("a try is excused by a machine %s, with that reason", async (why, changes) => {
  const { environment } = await withdrawnFrom((world, node) => world.compute.setNode({ ...node, ...changes }));

  expect(environment).toMatchObject({ phase: "queued", run: { n: 2 }, placement: { withdrawals: 0 } });
  expect(environment.events.timeline.map(({ reason }) => reason)).toContain(
    `Nothing could start on h100-1, ${why}; waiting again`,
  );
});

test("a try is excused by a machine that its provider takes back", async () => {
  const { environment } = await withdrawnFrom((world) =>
    noteMachineNotice(world.ctx, { machine: "h100-1", kind: "rebalance", at: world.clock.now() }),
  );

  expect(environment).toMatchObject({ phase: "queued", run: { n: 2 }, placement: { withdrawals: 0 } });
});

test("a machine that was not ready gets runs again after a minute, for example after an outage of the API server", async () => {
  const { world, node, environment } = await withdrawnFrom((world, node) =>
    world.compute.setNode({ ...node, ready: false, unready: "notReady" }),
  );

  world.compute.setNode(node);
  await refreshCapacity(world.ctx);
  await world.advance(1_000);

  const { run } = await world.read("alice", "one");
  expect(environment.placement.withdrawn).toMatchObject({ nodes: ["h100-1"], saidSo: true });
  expect([run.n, run.grant?.shares[0]?.node]).toEqual([2, "h100-1"]);
});

test("a run that its own machine refuses is withdrawn as soon as the pool knows, and starts on another", async () => {
  const nodes = newNodes({ h100: 2 });
  const world = await memoryWorld({ nodes });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/2 nodes are available: 1 node(s) were unschedulable" });
  await world.advance(5_000);
  const granted = (await world.read("alice", "one")).run.grant?.shares[0]?.node;
  const node = nodes.find(({ name }) => name === granted);
  if (!node) throw new Error("It has no machine");
  world.compute.setNode({ ...node, ready: false, unready: "cordoned" });
  await refreshCapacity(world.ctx);
  await world.advance(25_000);

  const { placement, run, events } = await world.read("alice", "one");
  expect([run.n, placement.withdrawals]).toEqual([2, 0]);
  expect(events.timeline.map(({ reason }) => reason)).toContain(
    `Nothing could start on ${granted}, which is cordoned; waiting again`,
  );
});

test("a run that its machine refused is not blamed for it if the machine recovers before the run is gone", async () => {
  const [node] = newNodes({ h100: 1 });
  if (!node) throw new Error("There is no machine");
  const world = await memoryWorld({ nodes: [node], leavesTombstones: false });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/1 nodes are available: 1 node(s) were unschedulable" });
  await world.advance(5_000);
  world.compute.setNode({ ...node, ready: false, unready: "cordoned" });
  await refreshCapacity(world.ctx);
  await world.advance(15_000);
  const withdrawn = await world.read("alice", "one");
  world.compute.setNode(node);
  await refreshCapacity(world.ctx);
  await world.advance(60_000);

  const { placement, run } = await world.read("alice", "one");
  expect([withdrawn.run.n, withdrawn.run.withdrawing]).toEqual([1, true]);
  expect([run.n, placement.withdrawals]).toEqual([2, 0]);
});

test("a run that no machine takes stays with its grant for a minute while the pool knows no reason", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const { uid } = await createEnvironment(world.as("alice"), newEnvironment("one"));
  world.compute.program(uid, { kind: "neverBinds", reason: "0/1 nodes are available" });
  await world.advance(50_000);

  expect((await world.read("alice", "one")).run.n).toBe(1);
});

test("a try is excused by a machine without its node object, with that reason", async () => {
  const { environment } = await withdrawnFrom((world, node) => world.compute.removeNode(node.name));

  expect(environment).toMatchObject({ phase: "queued", run: { n: 2 }, placement: { withdrawals: 0 } });
  expect(environment.events.timeline.map(({ reason }) => reason)).toContain(
    "Nothing could start on h100-1, which is gone; waiting again",
  );
});
