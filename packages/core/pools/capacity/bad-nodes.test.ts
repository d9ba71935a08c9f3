import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import type { Log } from "../../ports/log.ts";
import { readCapacity } from "../admission/availability.ts";
import { nodeLedgerKey } from "../ledger/ledger.ts";
import { refreshCapacity } from "./capacity.ts";

const MINUTE = 60_000;

/** Returns a world that keeps log lines about machines. */
async function badWorld(nodes: readonly ComputeNode[]): Promise<{ world: MemoryWorld; leftOut: unknown[] }> {
  const leftOut: unknown[] = [];
  const keep: Log["warn"] = (event, fields) => {
    if (event === "nodes left out" && Array.isArray(fields?.nodes)) leftOut.push(...fields.nodes);
  };
  const log: Log = { info: () => undefined, warn: keep, error: () => undefined };
  return { world: await memoryWorld({ nodes, log }), leftOut };
}

async function submit(world: MemoryWorld, id: string, pool = "h100"): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { pool, hours: 24 }));
  await world.advance(2 * MINUTE);
}

const getPhase = async (world: MemoryWorld, id: string) => (await world.read("alice", id)).phase;
const namesIn = async (world: MemoryWorld, pool: string) =>
  (await viewPool(world.ctx, pool))?.nodes.map(({ name }) => name) ?? [];

/** Replaces the cluster's listing. */
async function refreshWith(world: MemoryWorld, nodes: readonly ComputeNode[]): Promise<void> {
  await refreshCapacity({ ...world.ctx, compute: { ...world.compute, listNodes: async () => [...nodes] } });
}

function only(nodes: readonly ComputeNode[]): ComputeNode {
  const [node] = nodes;
  if (!node) throw new Error("There is no node");
  return node;
}

const entry = only(newNodes({ h100: 1 }));

test.each([
  ["under two names", { name: "h100-0" }],
  ["under two names, of two types", { name: "h100-0", instanceType: "p4d.24xlarge" }],
  ["with two node objects for one instance", { name: "h100-2", uid: "other" }],
  ["on two pages of the list", {}],
])("counts a machine that is listed twice %s once", async (_, changes) => {
  const { world } = await badWorld([entry]);

  await refreshWith(world, [{ ...entry, ...changes }, entry]);
  await refreshWith(world, [entry, { ...entry, ...changes }]);

  expect([...(await namesIn(world, "h100")), ...(await namesIn(world, "a100"))]).toEqual(["h100-1"]);
});

test("takes only one of two new nodes that claim to be the same machine", async () => {
  const { world, leftOut } = await badWorld([]);

  await refreshWith(world, [{ ...entry, name: "h100-9", instanceType: "p4d.24xlarge" }, entry]);

  expect([await namesIn(world, "h100"), await namesIn(world, "a100")]).toEqual([["h100-1"], []]);
  expect(leftOut).toEqual([{ name: "h100-9", why: "it claims to be the machine of h100-1" }]);
});

test("does not grant a renamed machine again before the job on it ends", async () => {
  const { world, leftOut } = await badWorld([entry]);
  await submit(world, "runs");

  world.compute.setNode({ ...entry, name: "renamed" });
  await submit(world, "waits");
  const meanwhile = [await getPhase(world, "runs"), await getPhase(world, "waits"), await namesIn(world, "h100")];
  await requestCancel(world.as("alice"), "runs");
  await world.advance(3 * MINUTE);

  expect(meanwhile).toEqual(["active", "queued", ["h100-1"]]);
  expect(leftOut).toContainEqual({ name: "renamed", why: "it claims to be the machine of h100-1" });
  expect([await getPhase(world, "waits"), await namesIn(world, "h100")]).toEqual(["active", ["renamed"]]);
});

test("does not grant a machine whose type changed again before the job on it ends", async () => {
  const { world } = await badWorld([entry]);
  await submit(world, "runs");

  world.compute.setNode({ ...entry, instanceType: "p4d.24xlarge" });
  await submit(world, "waits", "a100");
  const meanwhile = [await getPhase(world, "runs"), await getPhase(world, "waits"), await namesIn(world, "h100")];
  await requestCancel(world.as("alice"), "runs");
  await world.advance(4 * MINUTE);

  expect(meanwhile).toEqual(["active", "queued", ["h100-1"]]);
  expect([await getPhase(world, "waits"), await namesIn(world, "h100")]).toEqual(["active", []]);
});

test.each([
  ["says another zone", { zone: "zone-b" }],
  ["says half its GPUs", { units: 4 }],
  ["says half its GPUs and another zone", { units: 4, zone: "zone-b" }],
])("does not grant a machine that %s again before the job on it ends", async (_, changes) => {
  const { world } = await badWorld([entry]);
  await submit(world, "runs");

  world.compute.setNode({ ...entry, ...changes });
  await createEnvironment(world.as("alice"), newEnvironment("waits", { gpus: 4 }));
  await world.advance(2 * MINUTE);
  const meanwhile = [await getPhase(world, "runs"), await getPhase(world, "waits")];
  await requestCancel(world.as("alice"), "runs");
  await world.advance(3 * MINUTE);

  expect(meanwhile).toEqual(["active", "queued"]);
  expect(await getPhase(world, "waits")).toBe("active");
  expect((await viewPool(world.ctx, "h100"))?.nodes).toMatchObject([{ name: "h100-1", ...changes }]);
});

test("does not grant a node's units again under a new uid before the record releases them", async () => {
  const { world } = await badWorld([entry]);
  await submit(world, "runs");

  world.compute.setNode({ ...entry, uid: "another", providerId: "memory:///zone-a/another" });
  await submit(world, "waits");
  const meanwhile = [await getPhase(world, "waits"), (await viewPool(world.ctx, "h100"))?.nodes[0]];
  world.compute.setMachine(entry.uid, "gone");
  await requestCancel(world.as("alice"), "runs");
  await world.compute.remove((await world.read("alice", "runs")).uid, 1, { graceSeconds: 0, force: true });
  await world.advance(4 * MINUTE);

  expect(meanwhile).toMatchObject(["queued", { name: "h100-1", uid: entry.uid, ready: false, gone: true }]);
  expect(await getPhase(world, "waits")).toBe("active");
  expect((await viewPool(world.ctx, "h100"))?.nodes).toMatchObject([{ name: "h100-1", uid: "another" }]);
});

test("counts the units of a gone node neither as free nor as present", async () => {
  const { world } = await badWorld(newNodes({ h100: 2 }));
  await submit(world, "runs");
  const on = (await world.read("alice", "runs")).run.grant?.shares[0]?.node ?? "";

  world.compute.removeNode(on);
  await world.advance(3 * MINUTE);

  expect((await viewPool(world.ctx, "h100"))?.summary).toMatchObject({ total: 8, free: 8, inUse: 8 });
  const { pools } = await readCapacity(world.ctx);
  expect(pools.find(({ pool }) => pool === "h100")).toMatchObject({ total: 8, available: 8, inUse: 8 });
});

test.each([
  ["no GPUs", { units: 0 }],
  ["units that are no number", { units: Number.NaN }],
  ["half a unit", { units: 7.5 }],
  ["endless units", { units: Number.POSITIVE_INFINITY }],
  ["more units than its type has", { units: 16 }],
  ["more units in other hands than it has", { foreignUnits: 9 }],
  ["units in other hands that are no number", { foreignUnits: Number.NaN }],
  ["less than nothing in other hands", { foreignUnits: -8 }],
  ["no zone", { zone: "" }],
  ["no name", { name: "" }],
  ["no uid", { uid: "" }],
])("leaves out a machine with %s, logs it, and grants the others", async (_, changes) => {
  const { world, leftOut } = await badWorld([]);
  const [good, otherNode] = newNodes({ h100: 2 });
  if (!good || !otherNode) throw new Error("There are no nodes");

  world.compute.setNode({ ...otherNode, ...changes });
  world.compute.setNode(good);
  await submit(world, "first");
  await submit(world, "second");

  expect(await namesIn(world, "h100")).toEqual([good.name]);
  expect(leftOut[0]).toMatchObject({ why: expect.stringMatching(/^its .* (is|are) (invalid|missing|not from)/) });
  expect([await getPhase(world, "first"), await getPhase(world, "second")]).toEqual(["active", "queued"]);
  expect((await viewPool(world.ctx, "h100"))?.summary).toMatchObject({ total: 8, waiting: 1 });
});

test("skips a machine of a type that cannot be requested", async () => {
  const { world, leftOut } = await badWorld(newNodes({ h100: 1 }));

  world.compute.setNode({ ...entry, name: "system", uid: "system", providerId: null, instanceType: "t3.medium" });
  await world.advance(2 * MINUTE);

  expect(await namesIn(world, "h100")).toEqual(["h100-1"]);
  expect(leftOut).toEqual([]);
});

test("grants the remaining GPUs of a machine that lost some", async () => {
  const { world } = await badWorld([]);

  world.compute.setNode({ ...entry, units: 7 });
  await submit(world, "too-big");

  expect((await viewPool(world.ctx, "h100"))?.summary).toMatchObject({ total: 7, free: 7 });
  expect((await world.read("alice", "too-big")).phase).toBe("queued");
});

test("keeps a machine that turns invalid for its present job, and grants it to no other", async () => {
  const { world } = await badWorld([entry]);
  await createEnvironment(world.as("alice"), newEnvironment("runs", { gpus: 4, hours: 24 }));
  await world.advance(MINUTE);

  world.compute.setNode({ ...entry, units: Number.NaN });
  await world.advance(2 * MINUTE);
  await createEnvironment(world.as("alice"), newEnvironment("waits", { gpus: 4 }));
  await world.advance(2 * MINUTE);

  expect([await getPhase(world, "runs"), await getPhase(world, "waits")]).toEqual(["active", "queued"]);
  expect((await viewPool(world.ctx, "h100"))?.nodes).toMatchObject([{ name: "h100-1", ready: false, units: 8 }]);
});

test("stops calling a machine cordoned once its data is invalid or it is uncordoned", async () => {
  const { world } = await badWorld([entry]);
  await submit(world, "runs");
  const refreshed = async (changes: Partial<ComputeNode>) => {
    world.compute.setNode({ ...entry, ...changes });
    await refreshCapacity(world.ctx);
    return world.table.all().find(({ kind }) => kind === "node");
  };

  const cordoned = await refreshed({ ready: false, unready: "cordoned" });
  const bad = await refreshed({ units: Number.NaN });
  await refreshed({ ready: false, unready: "cordoned" });
  const open = await refreshed({});

  expect([cordoned, bad, open].map((item) => [item?.ready, item?.unready])).toEqual([
    [false, "cordoned"],
    [false, undefined],
    [true, undefined],
  ]);
});

test("a listing that is too old when it is written changes nothing", async () => {
  const { world } = await badWorld([entry]);
  const slow = async () => {
    world.clock.advance(40_001);
    return [];
  };

  await refreshCapacity({ ...world.ctx, compute: { ...world.compute, listNodes: slow } });

  expect(await namesIn(world, "h100")).toEqual(["h100-1"]);
});

test("keeps a machine that is granted while a listing without it is written until its record ends", async () => {
  const { world } = await badWorld([entry]);
  const listNodes = async () => {
    // Between the read of the ledger and the first write.
    await createEnvironment(world.as("alice"), newEnvironment("granted"));
    await world.deliver();
    return [];
  };

  await refreshCapacity({ ...world.ctx, compute: { ...world.compute, listNodes } });

  expect(await namesIn(world, "h100")).toEqual(["h100-1"]);
  expect((await viewPool(world.ctx, "h100"))?.held).toHaveLength(1);
});

test("a listing older than a new pool removes no machine that arrived meanwhile", async () => {
  const { world } = await badWorld([]);
  const [first, second] = newNodes({ h100: 2 });
  if (!first || !second) throw new Error("There are no nodes");
  let isOpen = false;
  const put: typeof world.table.put = async (item, condition) => {
    const isWritten = await world.table.put(item, condition);
    const isOpened = "kind" in item && item.kind === "pool" && "closed" in item && item.closed === null;
    if (!isOpened || isOpen) return isWritten;
    isOpen = true;
    // The pool is new and open: another process lists both machines, and both are granted.
    await refreshWith(world, [first, second]);
    for (const id of ["one", "another"]) await createEnvironment(world.as("alice"), newEnvironment(id, { gpus: 8 }));
    await world.deliver();
    return isWritten;
  };
  const compute = { ...world.compute, listNodes: async () => [first] };

  await refreshCapacity({ ...world.ctx, table: { ...world.table, put }, compute });

  expect(isOpen).toBe(true);
  expect(await namesIn(world, "h100")).toEqual(["h100-1", "h100-2"]);
  expect((await viewPool(world.ctx, "h100"))?.held).toHaveLength(2);
});

test("grants nothing on two ledger items of one name until a listing shows which machine exists", async () => {
  const { world } = await badWorld([entry]);
  const [first] = (await viewPool(world.ctx, "h100"))?.nodes ?? [];
  if (!first) throw new Error("There is no ledger item");
  const otherEntry = {
    ...first,
    ...nodeLedgerKey(world.ctx, "h100", { name: entry.name, uid: "older" }),
    uid: "older",
  };
  await world.table.put(otherEntry);

  await createEnvironment(world.as("alice"), newEnvironment("two", { gpus: 16 }));
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.deliver();
  const early = await viewPool(world.ctx, "h100");
  await world.advance(2 * MINUTE);

  expect(early?.nodes.map(({ uid }) => uid).sort()).toEqual([entry.uid, "older"].sort());
  expect(early).toMatchObject({ granted: [], held: [] });
  expect([await getPhase(world, "two"), await getPhase(world, "one")]).toEqual(["queued", "active"]);
});

test("counts the units of an earlier run on a machine beside the present run of its environment", async () => {
  const { world } = await badWorld([entry]);
  await createEnvironment(world.as("alice"), newEnvironment("runs", { gpus: 2, hours: 24 }));
  await world.advance(2 * MINUTE);
  const { uid } = await world.read("alice", "runs");
  const leftovers = async (units: readonly number[]) => {
    await refreshWith(world, [{ ...entry, runs: units.map((each, at) => ({ uid, run: at + 1, units: each })) }]);
    return (await viewPool(world.ctx, "h100"))?.nodes.map(({ leftoverUnits }) => leftoverUnits);
  };

  expect([await leftovers([]), await leftovers([2]), await leftovers([2, 4])]).toEqual([[0], [0], [4]]);
});
