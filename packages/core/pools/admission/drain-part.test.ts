import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item, Table } from "../../ports/table.ts";
import { keyText, makeableKey, poolKey } from "../../store/keys.ts";
import { refreshCapacity } from "../capacity/capacity.ts";
import { readAdvice } from "../forecast/advice.ts";
import { findPool } from "../ledger/record.ts";
import { planPools } from "../plan/planner.ts";
import { reasonText } from "../plan/reasons.ts";
import { readAdmission } from "./admission.ts";
import { readCapacity } from "./availability.ts";
import { drainPart, undrainPart } from "./drain-part.ts";

const MINUTE = 60_000;
const note = { by: "ada", reason: "New disk" };
const group = { pool: "h100", startupMs: 5 * MINUTE };
const eksGroup = { instanceTypes: ["p5.48xlarge"], isActive: true, admitsRuns: true };
const drainedText = "Need 8 H100 GPUs, but machines where it could start are drained or have ended - position #1";

async function findMachines(world: MemoryWorld, id: string): Promise<string[]> {
  const { phase, run } = await world.read("alice", id);
  return [phase, ...run.machines.map(({ name }) => name)];
}

async function findReason(world: MemoryWorld, id: string): Promise<string | undefined> {
  const environment = await world.read("alice", id);
  const place = (await readAdvice(world.ctx, [environment])).get(environment.uid)?.place;
  return place && reasonText(place, environment.size.pool);
}

const findCapacity = async ({ ctx }: MemoryWorld) => (await readCapacity(ctx)).pools[0];

function joins(world: MemoryWorld, name: string, zone: string, of?: string): void {
  const [node] = newNodes({ h100: 1 });
  const ids = { uid: `uid-${name}`, providerId: `memory:///${name}` };
  if (node) world.compute.setNode({ ...node, name, zone, group: of, ...ids });
}

test("a drained machine starts nothing, keeps what runs there, and starts jobs again after the undrain", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  await createEnvironment(world.as("alice"), newEnvironment("before", { gpus: 4 }));
  await world.advance(MINUTE);
  const [, drained = ""] = await findMachines(world, "before");

  await drainPart(world.ctx, "h100", { node: drained }, note);
  for (const id of ["one", "two"]) {
    await createEnvironment(world.as("alice"), newEnvironment(id, { gpus: 4 }));
    await world.advance(MINUTE);
  }
  const other = drained === "h100-1" ? "h100-2" : "h100-1";
  const full = await findCapacity(world);
  await createEnvironment(world.as("alice"), newEnvironment("waits", { gpus: 4 }));
  await world.advance(MINUTE);

  expect(await findMachines(world, "before")).toEqual(["active", drained]);
  expect([await findMachines(world, "one"), await findMachines(world, "two")]).toEqual([
    ["active", other],
    ["active", other],
  ]);
  expect(full).toMatchObject({ total: 16, available: 0, inUse: 12, closed: null });
  expect(await findReason(world, "waits")).toBe(drainedText.replace("8", "4"));

  await undrainPart(world.ctx, "h100", { node: drained });
  await world.advance(MINUTE);

  expect(await findMachines(world, "waits")).toEqual(["active", drained]);
});

test("the estimate of a waiting job does not count on a drained machine", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  await drainPart(world.ctx, "h100", { node: "h100-1" }, note);
  for (const id of ["one", "two"]) {
    await createEnvironment(world.as("alice"), newEnvironment(id, { hours: 1 }));
    await world.advance(MINUTE);
  }
  const environment = await world.read("alice", "two");

  const start = (await readAdvice(world.ctx, [environment])).get(environment.uid)?.start;

  expect(await findReason(world, "two")).toBe(drainedText);
  expect((start?.p50 ?? 0) - world.clock.now()).toBeGreaterThan(50 * MINUTE);
});

test("a drained zone starts nothing, also on machines that come later", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  joins(world, "in-b", "zone-b");
  await refreshCapacity(world.ctx);
  await drainPart(world.ctx, "h100", { zone: "zone-a" }, note);
  joins(world, "later", "zone-a");

  for (const id of ["one", "two"]) {
    await createEnvironment(world.as("alice"), newEnvironment(id));
    await world.advance(2 * MINUTE);
  }

  expect([await findMachines(world, "one"), await findMachines(world, "two")]).toEqual([
    ["active", "in-b"],
    ["queued"],
  ]);
  expect(await findReason(world, "two")).toBe(drainedText);
});

test("no new machine is counted on in drained zones, and one elsewhere is asked for outside of them", async () => {
  const world = await memoryWorld({
    nodes: [],
    settings: { nodeGroups: [{ ...group, mostNodes: 3, zones: ["zone-a", "zone-b"] }] },
  });
  await drainPart(world.ctx, "h100", { zone: "zone-a" }, note);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(MINUTE);
  joins(world, "in-a", "zone-a");
  await world.advance(2 * MINUTE);
  const early = await findMachines(world, "one");
  joins(world, "in-b", "zone-b");
  await world.advance(2 * MINUTE);

  expect([early, await findMachines(world, "one")]).toEqual([["preparing"], ["active", "in-b"]]);

  await drainPart(world.ctx, "h100", { zone: "zone-b" }, note);
  await createEnvironment(world.as("alice"), newEnvironment("two"));
  await world.advance(MINUTE);

  expect(await findCapacity(world)).toMatchObject({ available: 0, makeable: 0 });
  expect(await findReason(world, "two")).toBe(drainedText);
});

test("a job that waits for a new machine is not placed on a drained one with room", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  world.machineGroups.set([{ ...eksGroup, name: "p5", zones: ["zone-a"], mostNodes: 2 }]);
  await world.advance(2 * MINUTE);
  await drainPart(world.ctx, "h100", { node: "h100-1" }, note);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(2 * MINUTE);
  const early = await findMachines(world, "one");

  joins(world, "made", "zone-a");
  await world.advance(2 * MINUTE);

  expect([early, await findMachines(world, "one")]).toEqual([["preparing"], ["active", "made"]]);
});

test("a job that still avoids a machine whose drain was undone is not blamed when no new machine comes", async () => {
  const world = await memoryWorld({
    nodes: newNodes({ h100: 1 }),
    settings: { nodeGroups: [{ ...group, mostNodes: 2, zones: ["zone-a", "zone-b"] }] },
  });
  await drainPart(world.ctx, "h100", { zone: "zone-a" }, note);
  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(MINUTE);
  const waits = await world.read("alice", "one");
  await undrainPart(world.ctx, "h100", { zone: "zone-a" });

  await world.advance(12 * MINUTE);

  const { run, placement } = await world.read("alice", "one");
  expect([waits.phase, waits.run.grant?.shares]).toEqual(["preparing", [{ node: null, units: 8 }]]);
  expect([run.n > waits.run.n, placement.withdrawals]).toEqual([true, 0]);
  expect(await findMachines(world, "one")).toEqual(["active", "h100-1"]);
});

test("a run that waits for a machine of NODE_GROUPS names no drained machine, because Karpenter refuses such pods", async () => {
  const world = await memoryWorld({
    nodes: newNodes({ h100: 1 }),
    settings: { nodeGroups: [{ ...group, mostNodes: 2, zones: ["zone-a", "zone-b"] }] },
  });
  await drainPart(world.ctx, "h100", { node: "h100-1" }, note);
  await drainPart(world.ctx, "h100", { zone: "zone-b" }, note);

  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(MINUTE);

  const { grant } = (await world.read("alice", "one")).run;
  expect([grant?.shares, grant?.avoids]).toEqual([[{ node: null, units: 8 }], [{ zone: "zone-b" }]]);
});

test("a job that waits for machines that AWS lacks is not said to wait for a drained part", async () => {
  const world = await memoryWorld({ nodes: [] });
  const lacking = { ...eksGroup, lacks: "machines", mostNodes: 2 } as const;
  world.machineGroups.set([
    { ...lacking, name: "in-a", zones: ["zone-a"] },
    { ...lacking, name: "in-b", zones: ["zone-b"] },
  ]);
  await world.advance(2 * MINUTE);
  await drainPart(world.ctx, "h100", { zone: "zone-a" }, note);

  await createEnvironment(world.as("alice"), newEnvironment("one"));
  await world.advance(10_000);

  expect(await findReason(world, "one")).toMatch(/ the next try is at .* UTC - position #1$/);
});

test("a drained node group starts nothing on its machines, and creates none that count", async () => {
  const world = await memoryWorld({ nodes: [], settings: {} });
  world.machineGroups.set([
    { ...eksGroup, name: "old", zones: ["zone-a"], mostNodes: 3 },
    { ...eksGroup, name: "new", zones: ["zone-b"], mostNodes: 1 },
  ]);
  joins(world, "old-1", "zone-a", "old");
  await world.advance(2 * MINUTE);
  const before = await findCapacity(world);

  await drainPart(world.ctx, "h100", { nodeGroup: "old" }, note);
  for (const id of ["one", "two"]) {
    await createEnvironment(world.as("alice"), newEnvironment(id));
    await world.advance(MINUTE / 2);
  }
  const capacity = await findCapacity(world);
  joins(world, "old-2", "zone-a", "old");
  joins(world, "new-1", "zone-b", "new");
  await world.advance(2 * MINUTE);

  expect([before, capacity]).toMatchObject([
    { total: 32, available: 32, makeable: 3 },
    { available: 0, makeable: 1 },
  ]);
  expect([await findMachines(world, "one"), await findMachines(world, "two")]).toEqual([
    ["active", "new-1"],
    ["queued"],
  ]);
  expect(await findReason(world, "two")).toBe(drainedText);
  await expect(drainPart(world.ctx, "h100", { nodeGroup: "typo" }, note)).rejects.toMatchObject({
    kind: "notFound",
    message: "Node group 'typo' of type h100 not found",
  });
});

test("a drained zone counts no new machine of the node groups that are only there", async () => {
  const world = await memoryWorld({ nodes: [] });
  world.machineGroups.set([
    { ...eksGroup, name: "in-a", zones: ["zone-a"], mostNodes: 3 },
    { ...eksGroup, name: "in-b", zones: ["zone-b"], mostNodes: 1 },
  ]);
  await world.advance(2 * MINUTE);

  await drainPart(world.ctx, "h100", { zone: "zone-a" }, note);
  await world.advance(MINUTE);

  expect(await findCapacity(world)).toMatchObject({ total: 8, available: 8, makeable: 1 });
});

test("a grant made while its machine is drained is not taken, and the job starts on another machine", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  const environment = await createEnvironment(world.as("alice"), newEnvironment("one"));
  let granted: string | undefined;
  const table: Table = {
    ...world.table,
    put: async (item, options) => {
      const { kind, name } = item as Item;
      if (kind === "node" && !granted) {
        granted = String(name);
        await drainPart(world.ctx, "h100", { node: granted }, note);
      }
      return world.table.put(item, options);
    },
  };
  await planPools({ ...world.ctx, table }, [{ look: keyText(poolKey("h100")), for: [keyText(environment)] }]);

  await world.advance(MINUTE);

  expect(granted).toMatch(/^h100-/);
  expect(await findMachines(world, "one")).toEqual(["active", granted === "h100-1" ? "h100-2" : "h100-1"]);
});

const another = { ...eksGroup, name: "another", zones: ["zone-a"], mostNodes: 1 };

test.each([
  [{ nodeGroup: "in-a" }, {}, []],
  [{ zone: "zone-a" }, {}, []],
  [{ nodeGroup: "in-a" }, { isSelectable: true as const }, [another]],
])(
  "a grant of new machines in a zone is not taken if the drained %o leaves no group that may create them there, case %#",
  async (part, traits, others) => {
    const world = await memoryWorld({ nodes: [] });
    world.machineGroups.set([
      { ...eksGroup, name: "in-a", zones: ["zone-a"], mostNodes: 2, ...traits },
      { ...eksGroup, name: "in-b", zones: ["zone-b"], mostNodes: 2 },
      ...others,
    ]);
    await world.advance(2 * MINUTE);
    const environment = await createEnvironment(world.as("alice"), newEnvironment("one", { gpus: 16 }));
    let isDrained = false;
    const table: Table = {
      ...world.table,
      put: async (item, options) => {
        await world.table.put(item, options);
        if (item.pk !== makeableKey("h100").pk || isDrained) return;
        isDrained = true;
        await drainPart(world.ctx, "h100", part, note);
      },
    };
    await planPools({ ...world.ctx, table }, [{ look: keyText(poolKey("h100")), for: [keyText(environment)] }]);

    await world.advance(MINUTE);

    const shares = (await world.read("alice", "one")).run.grant?.shares;
    expect([isDrained, shares?.map(({ zone }) => zone)]).toEqual([true, ["zone-b", "zone-b"]]);
  },
);

test("the capacity schedule carries a drain into a ledger that it did not reach", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const dying: Table = {
    ...world.table,
    put: async (item, options) => {
      if (item.pk.startsWith("pool#")) throw new Error("gone");
      return world.table.put(item, options);
    },
  };
  await expect(drainPart({ ...world.ctx, table: dying }, "h100", { node: "h100-1" }, note)).rejects.toThrow("gone");
  const before = (await findPool(world.ctx, "h100"))?.drained;

  await refreshCapacity(world.ctx);

  expect([before, (await findPool(world.ctx, "h100"))?.drained]).toEqual([undefined, [{ node: "h100-1" }]]);
});

test("a repeat keeps the first note, and parts of one type are no parts of another", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1, t4: 1 }) });
  await drainPart(world.ctx, "h100", { zone: "zone-a" }, note);
  await drainPart(world.ctx, "t4", { zone: "zone-a" }, note);
  await drainPart(world.ctx, "h100", { zone: "zone-a" }, { by: "bob", reason: null });

  const { parts } = await undrainPart(world.ctx, "t4", { zone: "zone-a" });

  expect(parts).toEqual([{ type: "h100", zone: "zone-a", at: expect.any(Number), ...note }]);
  expect((await findPool(world.ctx, "t4"))?.drained).toBeUndefined();
});

test("a repeated drain of a machine that is gone by then succeeds, and an undrain of what is not drained is refused", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  await drainPart(world.ctx, "h100", { node: "h100-1" }, note);
  world.compute.removeNode("h100-1");
  await world.advance(2 * MINUTE);

  const { parts } = await drainPart(world.ctx, "h100", { node: "h100-1" }, note);

  expect(parts).toHaveLength(1);
  await expect(undrainPart(world.ctx, "h100", { node: "h100-2" })).rejects.toMatchObject({
    kind: "notFound",
    message: "Node 'h100-2' of type h100 is not drained, and no drain of it is planned",
  });
  expect((await undrainPart(world.ctx, "h100", { node: "h100-1" })).parts).toEqual([]);
  const repeat = { isRepeat: true };
  expect((await undrainPart(world.ctx, "h100", { node: "h100-1" }, repeat)).parts).toEqual([]);
});

test("refuses a zone without a machine where the zones of new machines are unknown", async () => {
  const nodeGroups = [{ ...group, mostNodes: 2, zones: [] }];
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { nodeGroups } });

  await expect(drainPart(world.ctx, "h100", { zone: "zone-x" }, note)).rejects.toMatchObject({ kind: "notFound" });
  expect((await drainPart(world.ctx, "h100", { zone: "zone-a" }, note)).parts).toHaveLength(1);
});

test("refuses a machine or zone that the type does not have, and more parts than one item holds", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 51, t4: 1 }) });

  await expect(drainPart(world.ctx, "h100", { node: "t4-1" }, note)).rejects.toMatchObject({
    kind: "notFound",
    message: "Node 't4-1' of type h100 not found",
  });
  await expect(drainPart(world.ctx, "h100", { zone: "zone-x" }, note)).rejects.toMatchObject({
    kind: "notFound",
    message: "Zone 'zone-x' of type h100 not found",
  });
  for (let n = 1; n <= 50; n++) await drainPart(world.ctx, "h100", { node: `h100-${n}` }, note);
  await expect(drainPart(world.ctx, "h100", { node: "h100-51" }, note)).rejects.toMatchObject({ kind: "quota" });
  expect((await readAdmission(world.ctx)).parts).toHaveLength(50);
});
