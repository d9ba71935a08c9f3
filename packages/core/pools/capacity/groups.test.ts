import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item } from "../../ports/table.ts";
import type { NodeGroup } from "../../settings.ts";
import { keyText, makeableKey, poolKey } from "../../store/keys.ts";
import { pauseAdmission } from "../admission/admission.ts";
import { readCapacity } from "../admission/availability.ts";
import { readAdvice } from "../forecast/advice.ts";
import { readMakeable } from "../ledger/ledger.ts";
import { planPools } from "../plan/planner.ts";
import { reasonText } from "../plan/reasons.ts";
import { refreshCapacity } from "./capacity.ts";

const MINUTE = 60_000;
const group: NodeGroup = { pool: "h100", mostNodes: 1, startupMs: 5 * MINUTE, zones: [] };
const recordKey = keyText(poolKey("h100"));

/** Returns a pool without machines that may create this many. */
async function scaledToZero(mostNodes = 1): Promise<MemoryWorld> {
  return memoryWorld({ nodes: [], settings: { nodeGroups: [{ ...group, mostNodes }] } });
}

function joins(world: MemoryWorld, name: string, zone = "zone-a"): void {
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, name, zone, uid: `uid-${name}`, providerId: `memory:///${name}` });
}

const namesIn = async ({ ctx }: MemoryWorld) =>
  ((await viewPool(ctx, "h100"))?.held ?? []).map(({ shares }) => shares.map(({ node }) => node));

test("a pool scaled to zero starts a waiting job on a machine created for it, and reserves that machine", async () => {
  const world = await scaledToZero();
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(4 * MINUTE);
  const [early, onNone] = [await world.read("alice", "one"), await namesIn(world)];

  joins(world, "made-1");
  await world.advance(2 * MINUTE);

  expect(early.phase).toBe("preparing");
  expect(early.events.timeline.map(({ reason }) => reason)).toContain("Capacity granted on a node still to be made");
  expect(onNone).toEqual([[null]]);
  expect((await world.read("alice", "one")).phase).toBe("active");
  expect(await namesIn(world)).toEqual([["made-1"]]);
  await requestCancel(world.as("alice"), "one");
  await world.advance(15 * MINUTE);
  expect((await world.read("alice", "one")).dueAt).toBeUndefined();
  expect(await viewPool(world.ctx, "h100")).toMatchObject({ held: [], granted: [], summary: { total: 8, free: 8 } });
});

test("counts a pool whose group has created no machine before a job asks for it", async () => {
  const world = await scaledToZero(3);

  const { pools } = await readCapacity(world.ctx);

  expect(pools).toMatchObject([
    { pool: "h100", hasMachines: true, total: 24, available: 24, largestFree: 8, makeable: 3, closed: null },
  ]);
});

test("creates the pool of a group once, and closed if the operator paused admission before", async () => {
  const world = await memoryWorld({ nodes: [], settings: {} });
  await pauseAdmission(world.ctx, true);
  const ctx = { ...world.ctx, settings: { ...world.ctx.settings, nodeGroups: [group] } };

  await Promise.all([refreshCapacity(ctx), refreshCapacity(ctx)]);
  await refreshCapacity(ctx);
  await planPools(ctx, [{ look: recordKey }]);

  expect((await readCapacity(ctx)).pools).toMatchObject([
    { pool: "h100", closed: "paused", available: 0, makeable: 1 },
  ]);
});

test("does not recreate a group's pool whose item has a newer format", async () => {
  const world = await memoryWorld({ nodes: [], settings: {} });
  const ctx = { ...world.ctx, settings: { ...world.ctx.settings, nodeGroups: [group] } };
  const newer: Item = { ...poolKey("h100"), kind: "pool", format: 1_000_000, writers: [] };
  await world.table.put(newer);
  const before = await world.table.get(poolKey("h100"));

  await refreshCapacity(ctx);

  expect(await world.table.get(poolKey("h100"))).toEqual(before);
});

test("does not grant a new machine to another job before the job that waits for it is bound", async () => {
  const world = await scaledToZero();
  const first = await createEnvironment(world.as("alice"), newEnvironment("first"));
  await world.advance(MINUTE);
  await createEnvironment(world.as("bob"), newEnvironment("second"));
  await world.advance(MINUTE);
  const waits = await viewPool(world.ctx, "h100");

  joins(world, "made-1");
  await world.advance(3 * MINUTE);

  expect(waits?.summary).toMatchObject({ waiting: 1, preparing: 1 });
  expect((await world.read("alice", "first")).run.machines.map(({ name }) => name)).toEqual(["made-1"]);
  expect((await world.read("bob", "second")).phase).toBe("queued");
  expect(world.compute.peakUnits("made-1")).toBe(8);
  expect(first.uid).toBe((await viewPool(world.ctx, "h100"))?.held[0]?.uid);
});

test("grants at most as many machines as the group may create, several of them at once", async () => {
  const world = await scaledToZero(3);
  await createEnvironment(world.as("alice"), newEnvironment("two", { gpus: 16 }));
  await createEnvironment(world.as("bob"), newEnvironment("one"));
  world.clock.advance(1);
  await createEnvironment(world.as("carol"), newEnvironment("none"));
  await world.advance(MINUTE);

  for (const name of ["made-1", "made-2", "made-3"]) joins(world, name);
  await world.advance(3 * MINUTE);

  expect(await Promise.all(["alice/two", "bob/one", "carol/none"].map((name) => getPhase(world, name)))).toEqual([
    "active",
    "active",
    "queued",
  ]);
  expect((await namesIn(world)).flat().sort()).toEqual(["made-1", "made-2", "made-3"]);
});

async function getPhase(world: MemoryWorld, name: string): Promise<string> {
  const [owner = "", id = ""] = name.split("/");
  return (await world.read(owner, id)).phase;
}

test("reports to a job whose disk is in another zone that no machine fits, and starts others", async () => {
  const settings = { nodeGroups: [{ ...group, mostNodes: 3, zones: ["zone-b"] }] };
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings });
  await createEnvironment(world.as("alice"), newEnvironment("before", { disk: "data" }));
  await world.advance(MINUTE);
  await requestCancel(world.as("alice"), "before");
  await world.advance(5 * MINUTE);
  world.compute.removeNode("h100-1");
  await world.advance(2 * MINUTE);

  await createEnvironment(world.as("alice"), newEnvironment("pinned", { disk: "data" }));
  await createEnvironment(world.as("bob"), newEnvironment("free"));
  await world.advance(MINUTE);

  const pinned = await world.read("alice", "pinned");
  const answer = (await readAdvice(world.ctx, [pinned])).get(pinned.uid)?.place;
  expect([pinned.phase, pinned.zone, answer?.code]).toEqual(["queued", "zone-a", "never"]);
  expect(await getPhase(world, "bob/free")).toBe("preparing");
});

test("pauses a pool that no job has asked for with the others", async () => {
  const world = await scaledToZero();
  await pauseAdmission(world.ctx, true);
  await createEnvironment(world.as("alice"), newEnvironment("one"));

  await world.advance(3 * MINUTE);
  const paused = await getPhase(world, "alice/one");
  await pauseAdmission(world.ctx, false);
  await world.advance(MINUTE);

  expect([paused, await getPhase(world, "alice/one")]).toEqual(["queued", "preparing"]);
});

test("a run that two planners granted takes one grant, and the other is dropped", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  for (const { id } of world.queue.receive("pools", 10)) world.queue.acknowledge("pools", id);
  const deaf = { ...world.ctx, queue: { ...world.queue, send: async () => {} } };
  // Each read the ledger before the other wrote its grant, so the second sees one machine less.
  const blind = {
    ...deaf,
    table: {
      ...world.table,
      query: async (query: Parameters<typeof world.table.query>[0]) => {
        const page = await world.table.query(query);
        const isLedger = "pk" in query && query.pk.startsWith("pool#h100#");
        return isLedger ? { ...page, items: page.items.filter(({ name }) => name !== "h100-1") } : page;
      },
    },
  };
  await planPools(deaf, [{ look: recordKey, for: [keyText(environment)] }]);
  world.clock.advance(60_000);
  await planPools(blind, [{ look: recordKey }]);
  const granted = (await viewPool(world.ctx, "h100"))?.granted.length;

  await world.advance(3 * MINUTE);

  const pool = await viewPool(world.ctx, "h100");
  expect(granted).toBe(2);
  expect([pool?.granted, pool?.held.length]).toEqual([[], 1]);
  expect(pool?.held[0]?.id).toBe((await world.read("alice", "one")).run.grant?.id);
  expect(pool?.summary).toMatchObject({ free: 8, inUse: 8 });
});

test.each([
  ["without zones", [], "h100-1"],
  ["of one zone", ["zone-a"], "h100-1"],
  ["of two zones", ["zone-a", "zone-b"], "h100-1"],
])(
  "a disk that was first used on a machine created by a group %s can be used on an existing machine",
  async (_, zones, on) => {
    const world = await memoryWorld({ nodes: [], settings: { nodeGroups: [{ ...group, zones }] } });
    await createEnvironment(world.as("alice"), newEnvironment("first", { disk: "data" }));
    await world.advance(MINUTE);
    const { zone } = await world.read("alice", "first");
    joins(world, "made-1", zone ?? "zone-a");
    await world.advance(2 * MINUTE);
    const made = await world.read("alice", "first");
    await requestCancel(world.as("alice"), "first");
    await world.advance(2 * MINUTE);
    world.compute.removeNode("made-1");
    for (const node of newNodes({ h100: 1 })) world.compute.setNode({ ...node, zone: zone ?? node.zone });
    await world.advance(2 * MINUTE);

    await createEnvironment(world.as("alice"), newEnvironment("second", { disk: "data" }));
    await world.advance(2 * MINUTE);

    const second = await world.read("alice", "second");
    expect([made.phase, second.phase]).toEqual(["active", "active"]);
    expect(second.run.machines.map(({ name }) => name)).toEqual([on]);
  },
);

test("limits jobs that wait for new machines to the size of their ledger item, and shows later ones why", async () => {
  const shared: NodeGroup = { pool: "cpu-shared", mostNodes: 60, startupMs: 5 * MINUTE, zones: ["zone-a"] };
  const world = await memoryWorld({ nodes: [], settings: { nodeGroups: [shared] } });
  const submit = (owner: string, id: string) =>
    createEnvironment(world.as(owner), newEnvironment(id, { pool: "cpu-shared", gpus: 0, hours: 24 }));
  await submit("alice", "first");
  await world.deliver();
  // A plan in the same millisecond in which its pool reopened announces every open grant again.
  world.clock.advance(1);
  for (let n = 1; n < 510; n++) await submit("alice", `job-${n}`);
  await world.advance(5_000);

  const environment = await submit("bob", "one");
  await world.advance(30_000);
  const full = await viewPool(world.ctx, "cpu-shared");
  const answer = (await readAdvice(world.ctx, [await world.read("bob", "one")])).get(environment.uid)?.place;
  for (const node of newNodes({ "cpu-shared": 1 })) world.compute.setNode(node);
  await world.advance(2 * MINUTE);

  expect([full?.held.length, full?.granted.length, full?.summary.waiting]).toEqual([500, 0, 11]);
  expect(answer && reasonText(answer, "cpu-shared")).toBe(
    "Need 1 CPU-SHARED machines, but no more jobs may wait for new machines - position #2",
  );
  const after = await viewPool(world.ctx, "cpu-shared");
  expect(after?.held.map(({ uid }) => uid)).toContain(environment.uid);
});

test("grants nothing in a pool whose item of new machines is unreadable, and says why", async () => {
  const world = await scaledToZero(2);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(MINUTE);
  const item = (await world.table.get(makeableKey("h100"))) as Item;
  const [held] = item.held as object[];
  await world.table.put({ ...item, held: [{ ...held, units: "8" }] } as Item);

  const two = await createEnvironment(world.as("bob"), newEnvironment("two"));
  joins(world, "made-1");
  joins(world, "made-2");
  await world.advance(MINUTE);
  const blind = await viewPool(world.ctx, "h100");
  const answer = (await readAdvice(world.ctx, [await world.read("bob", "two")])).get(two.uid)?.place;
  const { writers = [] } = (await world.table.get(makeableKey("h100"))) ?? {};
  await world.table.put({ ...item, writers });
  await world.advance(2 * MINUTE);

  expect([blind?.granted, blind?.summary.free, blind?.summary.unreadableItems]).toEqual([[], 0, 1]);
  expect(answer && reasonText(answer, "h100")).toBe(
    "No new H100 jobs are started at the moment: a record of H100 capacity is unreadable - position #1",
  );
  const after = await Promise.all([world.read("alice", "one"), world.read("bob", "two")]);
  expect(after.map(({ phase, placement }) => [phase, placement.withdrawals])).toEqual([
    ["active", 0],
    ["active", 0],
  ]);
});

test("a job of two machines waits for its second one in the zone of its first", async () => {
  const zones = ["zone-a", "zone-b"];
  const nodes = newNodes({ h100: 1 }).map((node) => ({ ...node, zone: "zone-b" }));
  const world = await memoryWorld({ nodes, settings: { nodeGroups: [{ ...group, mostNodes: 3, zones }] } });
  await createEnvironment(world.as("alice"), newEnvironment("one", { gpus: 16 }));
  await world.advance(MINUTE);

  joins(world, "made-a", "zone-a");
  await world.advance(3 * MINUTE);
  const waits = await world.read("alice", "one");
  joins(world, "made-b", "zone-b");
  await world.advance(2 * MINUTE);

  const started = await world.read("alice", "one");
  expect([waits.phase, waits.run.grant?.shares[1]]).toEqual(["preparing", { node: null, units: 8, zone: "zone-b" }]);
  expect([started.phase, started.run.machines.map(({ name }) => name)]).toEqual(["active", ["h100-1", "made-b"]]);
  expect((await viewPool(world.ctx, "h100"))?.summary).toMatchObject({ free: 8, inUse: 16 });
});

test("new disks of jobs that wait for machines are in all zones of the group, but in none that lacked machines", async () => {
  const zones = ["zone-a", "zone-b", "zone-c"];
  const world = await memoryWorld({ nodes: [], settings: { nodeGroups: [{ ...group, mostNodes: 40, zones }] } });
  const submitted = async (from: number, to: number) => {
    const names = Array.from({ length: to - from }, (_, n) => `user-${from + n}`);
    for (const name of names) await createEnvironment(world.as(name), newEnvironment("one", { disk: "data" }));
    await world.advance(MINUTE);
    return Promise.all(names.map(async (name) => (await world.read(name, "one")).zone));
  };

  const first = await submitted(0, 12);
  for (const zone of ["zone-a", "zone-b"]) joins(world, `made-${zone}`, zone);
  await world.advance(11 * MINUTE);
  const lacking = Object.keys((await readMakeable(world.ctx, "h100")).zoneShortages ?? {});
  joins(world, "again-a", "zone-a");
  await world.advance(MINUTE);
  const second = await submitted(12, 20);

  expect(new Set(first)).toEqual(new Set(zones));
  expect(lacking.sort()).toEqual(zones);
  expect(new Set(second)).toEqual(new Set(["zone-a"]));
});
