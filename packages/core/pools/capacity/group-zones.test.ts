import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { MachineGroup } from "../../ports/machine-groups.ts";
import type { Item } from "../../ports/table.ts";
import { makeableKey } from "../../store/keys.ts";
import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import { readCapacity } from "../admission/availability.ts";
import { readAdvice } from "../forecast/advice.ts";
import { readMakeable } from "../ledger/ledger.ts";

const inA: MachineGroup = {
  name: "p5-a",
  instanceTypes: ["p5.48xlarge"],
  zones: ["zone-a"],
  mostNodes: 1,
  isActive: true,
  admitsRuns: true,
};
const inB: MachineGroup = { ...inA, name: "p5-b", zones: ["zone-b"], mostNodes: 3 };
const names = ["one", "two", "three", "four"];

async function worldWith(...groups: readonly MachineGroup[]): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: [] });
  world.machineGroups.set(groups);
  await world.advance(2 * MINUTE_MS);
  return world;
}

function joins(world: MemoryWorld, name: string, { name: group, zones: [zone = ""] }: MachineGroup): void {
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, name, uid: `uid-${name}`, providerId: `memory:///${name}`, zone, group });
}

async function getShares(world: MemoryWorld, owner: string) {
  return (await world.read(owner, "job")).run.grant?.shares;
}

/** Submits a job whose disk has a volume in this zone. Its first job has used a machine there, which is gone. */
async function bindDisk(world: MemoryWorld, owner: string, group: MachineGroup): Promise<void> {
  joins(world, "former", group);
  await world.advance(MINUTE_MS);
  await createEnvironment(world.as(owner), newEnvironment("before", { disk: "data" }));
  await world.advance(MINUTE_MS);
  expect((await world.read(owner, "before")).phase).toBe("active");
  await requestCancel(world.as(owner), "before");
  await world.advance(MINUTE_MS);
  world.compute.removeNode("former");
  await world.advance(2 * MINUTE_MS);
}

test("new disks of jobs that wait are spread over zones as far as the group of each zone may grow", async () => {
  const world = await worldWith(inA, inB);

  for (const name of names) await createEnvironment(world.as(name), newEnvironment("job", { disk: "data" }));
  await world.advance(MINUTE_MS);

  const zones = await Promise.all(names.map(async (name) => (await getShares(world, name))?.[0]?.zone));
  expect(zones.sort()).toEqual(["zone-a", "zone-b", "zone-b", "zone-b"]);
});

test("a new disk is in the zone of a group that has machines, before a larger group that lacked some is tried", async () => {
  const lacking = { ...inB, lacks: "machines" as const };
  const world = await worldWith(inA, lacking);
  await world.advance(10 * MINUTE_MS);

  for (const name of names.slice(0, 2)) {
    await createEnvironment(world.as(name), newEnvironment("job", { disk: "data" }));
    await world.advance(MINUTE_MS);
  }

  const shares = await Promise.all(names.slice(0, 2).map((name) => getShares(world, name)));
  expect(shares.map((share) => share?.[0]?.zone)).toEqual(["zone-a", "zone-b"]);
});

test("a zone that leaves a node group gets no new machine and no new disk any more", async () => {
  const wide = { ...inA, zones: ["zone-a", "zone-b"], mostNodes: 9 };
  const world = await worldWith(wide);
  await createEnvironment(world.as("one"), newEnvironment("job", { disk: "data" }));
  await world.advance(MINUTE_MS);
  const left = (await getShares(world, "one"))?.[0]?.zone;

  world.machineGroups.set([{ ...wide, zones: wide.zones.filter((zone) => zone !== left) }]);
  await world.advance(6 * MINUTE_MS);
  for (const name of names.slice(1)) await createEnvironment(world.as(name), newEnvironment("job", { disk: "data" }));
  await world.advance(MINUTE_MS);

  const zones = await Promise.all(names.slice(1).map(async (name) => (await getShares(world, name))?.[0]?.zone));
  expect(wide.zones).toContain(left);
  expect(new Set(zones)).toEqual(new Set(wide.zones.filter((zone) => zone !== left)));
});

test("new disks of jobs that share a new machine are in one zone", async () => {
  const world = await worldWith({ ...inA, name: "wide", zones: ["zone-a", "zone-b"] });

  for (const name of names.slice(2)) {
    await createEnvironment(world.as(name), newEnvironment("job", { gpus: 4, disk: "data" }));
  }
  await world.advance(MINUTE_MS);

  const [three, four] = await Promise.all(names.slice(2).map((name) => getShares(world, name)));
  expect(three).toEqual([{ node: null, units: 4, zone: expect.stringMatching(/^zone-[ab]$/) }]);
  expect(four).toEqual(three);
});

test("a later plan does not promise the last machine of a zone again", async () => {
  const world = await worldWith(inA, inB);
  await bindDisk(world, "alice", inA);
  await bindDisk(world, "bob", inA);

  await createEnvironment(world.as("alice"), newEnvironment("job", { disk: "data" }));
  await world.advance(MINUTE_MS);
  await createEnvironment(world.as("bob"), newEnvironment("job", { disk: "data" }));
  await world.advance(MINUTE_MS);

  const bob = await world.read("bob", "job");
  const advice = (await readAdvice(world.ctx, [bob])).get(bob.uid);
  expect(await getShares(world, "alice")).toEqual([{ node: null, units: 8, zone: "zone-a" }]);
  expect([bob.phase, advice?.place?.code]).toEqual(["queued", "elsewhere"]);
  expect((await readCapacity(world.ctx)).pools).toMatchObject([{ available: 24, makeable: 4 }]);
});

test("a job that may be in any zone leaves the last machine of a zone to a disk that is there", async () => {
  const world = await worldWith(inA, inB);
  await bindDisk(world, "alice", inA);

  for (const name of names.slice(1)) await createEnvironment(world.as(name), newEnvironment("job"));
  await world.advance(MINUTE_MS);
  await createEnvironment(world.as("alice"), newEnvironment("job", { disk: "data" }));
  await world.advance(MINUTE_MS);

  for (const name of names.slice(1)) expect(await getShares(world, name)).toEqual([{ node: null, units: 8 }]);
  expect(await getShares(world, "alice")).toEqual([{ node: null, units: 8, zone: "zone-a" }]);
});

test("the machines of one job come in a zone whose group may create all of them", async () => {
  const world = await worldWith(inA, inB);

  await createEnvironment(world.as("alice"), newEnvironment("job", { gpus: 24 }));
  await world.advance(MINUTE_MS);
  await createEnvironment(world.as("bob"), newEnvironment("job", { gpus: 16 }));
  await world.advance(MINUTE_MS);

  const bob = await world.read("bob", "job");
  const advice = (await readAdvice(world.ctx, [bob])).get(bob.uid);
  expect((await getShares(world, "alice"))?.map(({ zone }) => zone)).toEqual(["zone-b", "zone-b", "zone-b"]);
  expect([bob.phase, advice?.place?.code]).toEqual(["queued", "short"]);
});

test("a job of two machines starts on those of one node group", async () => {
  const world = await worldWith();
  const groups = [inA, { ...inA, name: "p5-block" }, { ...inA, name: "p5-block" }];
  for (const [index, group] of groups.entries()) joins(world, `made-${index}`, group);
  await world.advance(MINUTE_MS);

  await createEnvironment(world.as("alice"), newEnvironment("job", { gpus: 16 }));
  await world.advance(MINUTE_MS);

  expect((await getShares(world, "alice"))?.map(({ node }) => node)).toEqual(["made-1", "made-2"]);
});

const block: MachineGroup = { ...inA, name: "p5-block", mostNodes: 2, isSelectable: true };
const two = newEnvironment("job", { gpus: 16 });
const named = { node: null, units: 8, zone: "zone-a", group: "p5-block" };

test("new machines of one job come of one node group if its autoscaler can choose it", async () => {
  const { isSelectable: _, ...unlabelled } = block;
  const [world, other] = [await worldWith(inA, block), await worldWith(inA, unlabelled)];

  for (const { as, advance } of [world, other]) {
    await createEnvironment(as("alice"), two);
    await advance(MINUTE_MS);
  }

  expect(await getShares(world, "alice")).toEqual([named, named]);
  expect((await getShares(other, "alice"))?.map(({ group }) => group)).toEqual([undefined, undefined]);
});

test("the timeline names the node groups for which a job waits, and in which it starts", async () => {
  const world = await worldWith({ ...block, mostNodes: 3 });
  const [spare, other] = ["made-1", "made-2"];
  joins(world, spare, inA);
  joins(world, other, block);
  await world.advance(MINUTE_MS);
  await createEnvironment(world.as("alice"), two);
  await createEnvironment(world.as("bob"), two);
  await world.advance(12 * MINUTE_MS);

  const listReasons = async (owner: string) =>
    (await world.read(owner, "job")).events.timeline.map(({ reason }) => reason);
  expect(await listReasons("alice")).toContain("Capacity granted on made-1, made-2 of node groups p5-a and p5-block");
  expect(await listReasons("bob")).toEqual(
    expect.arrayContaining([
      "Capacity granted on a node still to be made, a node still to be made of node group p5-block",
      "No new p5.48xlarge of node group p5-block came within 10 minutes; waiting again",
    ]),
  );
});

test("a machine of another node group is left to others while a job waits for its own", async () => {
  const world = await worldWith(inA, block);
  await createEnvironment(world.as("alice"), two);
  await world.advance(MINUTE_MS);
  joins(world, "made-1", inA);
  await world.advance(2 * MINUTE_MS);
  await createEnvironment(world.as("bob"), newEnvironment("job"));
  await world.advance(MINUTE_MS);
  const during = await getShares(world, "alice");
  for (const name of ["made-2", "made-3"]) joins(world, name, block);
  await world.advance(2 * MINUTE_MS);

  expect(during).toEqual([named, named]);
  expect((await getShares(world, "bob"))?.map(({ node }) => node)).toEqual(["made-1"]);
  const { machines } = (await world.read("alice", "job")).run;
  expect(machines.map(({ name }) => name)).toEqual(["made-2", "made-3"]);
});

test("a job whose node group made no machine may get those of any group in its next try", async () => {
  const world = await worldWith(inA, block);
  await createEnvironment(world.as("alice"), two);
  while ((await world.read("alice", "job")).placement.withdrawn === null) await world.advance(MINUTE_MS);
  await world.advance(4 * MINUTE_MS);

  const anywhere = { node: null, units: 8, zone: "zone-a" };
  expect((await world.read("alice", "job")).phase).toBe("preparing");
  expect(await getShares(world, "alice")).toEqual([anywhere, anywhere]);
});

test("new machines of one job come of one node group again 12 hours after its last pause", async () => {
  const world = await worldWith(inA, block);
  await createEnvironment(world.as("alice"), two);
  while ((await world.read("alice", "job")).placement.withdrawn === null) await world.advance(MINUTE_MS);
  await requestCancel(world.as("alice"), "job");
  await world.advance(13 * HOUR_MS);
  await createEnvironment(world.as("bob"), two);
  await world.advance(MINUTE_MS);

  expect((await readMakeable(world.ctx, "h100")).zoneShortages).toHaveProperty("zone-a");
  expect(await getShares(world, "bob")).toEqual([named, named]);
});

test("a try does not count because another node group has machines", async () => {
  const world = await worldWith({ ...inA, mostNodes: 2 }, block);
  await createEnvironment(world.as("alice"), two);
  await world.advance(9 * MINUTE_MS);
  for (const name of ["made-1", "made-2"]) joins(world, name, inA);
  await world.advance(4 * MINUTE_MS);

  const { run, placement } = await world.read("alice", "job");
  expect(run.machines.map(({ name }) => name)).toEqual(["made-1", "made-2"]);
  expect([run.n, placement.withdrawals]).toEqual([2, 0]);
});

test("a machine that comes in another zone than asked leaves the job its place in line", async () => {
  const world = await worldWith(inA, { ...inB, mostNodes: 1 });
  await bindDisk(world, "alice", inA);
  await createEnvironment(world.as("alice"), newEnvironment("job", { disk: "data" }));
  await world.advance(MINUTE_MS);
  joins(world, "made-1", { ...inA, zones: ["zone-b"] });
  await world.advance(2 * MINUTE_MS);
  await createEnvironment(world.as("bob"), newEnvironment("job"));
  await createEnvironment(world.as("carol"), newEnvironment("job"));
  await world.advance(MINUTE_MS);

  const waits = await world.read("alice", "job");
  await world.advance(10 * MINUTE_MS);
  const later = await world.read("alice", "job");
  expect([waits.phase, later.phase, later.placement.withdrawals]).toEqual(["preparing", "queued", 0]);
  expect((await getShares(world, "bob"))?.[0]?.node ?? (await getShares(world, "carol"))?.[0]?.node).toBe("made-1");
});

test("a machine counts once for its group, from when it joins", async () => {
  const world = await worldWith(inA, inB);
  joins(world, "made-1", inA);
  await world.advance(2 * MINUTE_MS);

  await createEnvironment(world.as("alice"), newEnvironment("job", { gpus: 32 }));
  await createEnvironment(world.as("bob"), newEnvironment("job", { gpus: 16 }));
  await world.advance(MINUTE_MS);

  const alice = await world.read("alice", "job");
  const advice = (await readAdvice(world.ctx, [alice])).get(alice.uid);
  expect([alice.phase, advice?.place?.code]).toEqual(["queued", "never"]);
  expect((await getShares(world, "bob"))?.map(({ zone }) => zone)).toEqual(["zone-b", "zone-b"]);
});

test("a group that lacks machines is tried again in its zone, although groups of other zones have some", async () => {
  const world = await worldWith(inA, inB);
  await bindDisk(world, "alice", inA);
  world.machineGroups.set([{ ...inA, lacks: "machines" }, inB]);
  while (!(await readMakeable(world.ctx, "h100")).zoneShortages) await world.advance(MINUTE_MS);
  await createEnvironment(world.as("alice"), newEnvironment("job", { disk: "data" }));
  await world.advance(10_000);
  const paused = await world.read("alice", "job");
  const advice = (await readAdvice(world.ctx, [paused])).get(paused.uid);
  const during = await readCapacity(world.ctx);
  await world.advance(4 * MINUTE_MS);

  expect([paused.phase, advice?.place?.code]).toEqual(["queued", "unmade"]);
  expect(during.pools).toMatchObject([{ available: 24, makeable: 3 }]);
  expect(await getShares(world, "alice")).toEqual([{ node: null, units: 8, zone: "zone-a" }]);
});

test("the groups of an earlier version, without their maximum, are counted as they were listed", async () => {
  const world = await worldWith(inA, inB);
  const { group, ...item } = (await world.table.get(makeableKey("h100"))) as Item & {
    group: { members: readonly { mostNodes?: number }[] };
  };
  const members = group.members.map(({ mostNodes: _, ...member }) => member);
  const earlier: Item = { ...item, group: { ...group, members } };
  await world.table.put(earlier);

  await createEnvironment(world.as("alice"), newEnvironment("job", { gpus: 24 }));
  await world.advance(10_000);

  expect((await getShares(world, "alice"))?.map(({ zone }) => zone)).toEqual(["zone-b", "zone-b", "zone-b"]);
});
