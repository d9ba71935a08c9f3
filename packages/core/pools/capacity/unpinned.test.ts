import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import type { Environment } from "../../environments/record/record.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item, Stored, Table } from "../../ports/table.ts";
import type { NodeGroup } from "../../settings.ts";
import { keyText, makeableKey, poolKey } from "../../store/keys.ts";
import { FORMAT } from "../../store/unreadable.ts";
import { planPools } from "../plan/planner.ts";
import { refreshCapacity } from "./capacity.ts";

const MINUTE = 60_000;
const group: NodeGroup = { pool: "h100", mostNodes: 1, startupMs: 5 * MINUTE, zones: [] };
const recordKey = keyText(poolKey("h100"));

function joins(world: MemoryWorld, name: string): void {
  const [node] = newNodes({ h100: 1 });
  if (node) world.compute.setNode({ ...node, name, uid: `uid-${name}`, providerId: `memory:///${name}` });
}

/** Submits a job without a message to a planner. */
async function submit(world: MemoryWorld, owner: string): Promise<Environment> {
  const submitted = await createEnvironment(world.as(owner), newEnvironment("job"));
  for (const { id } of world.queue.receive("pools", 10)) world.queue.acknowledge("pools", id);
  return submitted;
}

/** Plans for that job only, and loses the plan's messages. */
async function plan(world: MemoryWorld, { pk, sk }: Environment, table: Table = world.table): Promise<void> {
  const queue = { ...world.queue, send: async () => {} };
  await planPools({ ...world.ctx, table, queue }, [{ look: recordKey, for: [keyText({ pk, sk })] }]);
}

/** Adds the group's only machine, and lets a planner that has seen it grant it to that job. */
async function joinsFor(world: MemoryWorld, job: Environment): Promise<void> {
  joins(world, "made-1");
  await refreshCapacity(world.ctx);
  await plan(world, job);
}

/** Wraps the table to do this once, before the first put of this key or the first read of a node's items. */
function onceBefore(table: Table, at: "put" | "query", work: () => Promise<void>): Table {
  let begun: Promise<void> | undefined;
  const begin = (isIt: boolean) => {
    if (isIt) begun ??= work();
    return begun;
  };
  const isMakeable = ({ pk }: Pick<Stored, "pk">) => pk === makeableKey("h100").pk;
  return {
    ...table,
    async put(item, options) {
      await begin(at === "put" && isMakeable(item));
      await table.put(item, options);
    },
    async query(query) {
      await begin(at === "query" && "pk" in query && query.pk.startsWith("pool#h100#"));
      return table.query(query);
    },
  };
}

const givenUnits = async ({ ctx }: MemoryWorld) =>
  ((await viewPool(ctx, "h100"))?.granted ?? [])
    .flatMap(({ shares }) => shares)
    .reduce((sum, { units }) => sum + units, 0);

test("a planner that has not seen the new machine grants no second one beside it", async () => {
  const world = await memoryWorld({ nodes: [], settings: { nodeGroups: [group] } });
  const [environment, two] = [await submit(world, "alice"), await submit(world, "bob")];

  await plan(
    world,
    environment,
    onceBefore(world.table, "put", () => joinsFor(world, two)),
  );

  expect(await givenUnits(world)).toBe(8);
});

test("a planner that has not seen the job that waits for the new machine does not grant it to another", async () => {
  const world = await memoryWorld({ nodes: [], settings: { nodeGroups: [group] } });
  const [environment, two] = [await submit(world, "alice"), await submit(world, "bob")];
  const before = onceBefore(world.table, "query", async () => {
    await plan(world, two);
    joins(world, "made-1");
    await refreshCapacity(world.ctx);
  });

  await plan(world, environment, before);

  expect(await givenUnits(world)).toBe(8);
});

/** Frees two machines at once, for a job that waits for a third and for one behind it. */
async function bothFree(world: MemoryWorld): Promise<void> {
  await world.advance(MINUTE);
  joins(world, "made-1");
  await world.advance(MINUTE);
  for (const owner of ["alice", "bob", "unpinned", "behind"]) {
    await createEnvironment(world.as(owner), newEnvironment("job"));
    await world.advance(MINUTE);
  }
  expect((await world.read("unpinned", "job")).run.grant?.shares).toEqual([{ node: null, units: 8 }]);
  await Promise.all(["alice", "bob"].map((owner) => requestCancel(world.as(owner), "job")));
}

const slowImages = {
  nodes: newNodes({ h100: 1 }),
  settings: { nodeGroups: [{ ...group, mostNodes: 3 }] },
  delays: { imageMs: 40_000 },
};

test("a job that waited for a new machine holds the one that it is bound to before it is ready", async () => {
  const world = await memoryWorld(slowImages);

  await bothFree(world);
  await world.advance(20_000);

  const { phase, run } = await world.read("unpinned", "job");
  expect([phase, run.machines.map(({ name }) => name)]).toEqual(["preparing", ["h100-1"]]);
  const held = (await viewPool(world.ctx, "h100"))?.held.map(({ uid, shares }) => [uid, shares[0]?.node]);
  expect(held).toContainEqual([(await world.read("unpinned", "job")).uid, "h100-1"]);
  expect((await world.read("behind", "job")).run.grant?.shares[0]?.node).toBe("made-1");
});

test("a job that waits for a new machine in the zone of its new disk uses no machine of another zone", async () => {
  const inZoneB = newNodes({ h100: 1 }).map((node) => ({ ...node, zone: "zone-b" }));
  const nodeGroups = [{ ...group, mostNodes: 2, zones: ["zone-a"] }];
  const world = await memoryWorld({ nodes: inZoneB, settings: { nodeGroups } });
  await createEnvironment(world.as("carol"), newEnvironment("before"));
  await world.advance(MINUTE);
  await createEnvironment(world.as("alice"), newEnvironment("waits", { disk: "data" }));
  await world.advance(MINUTE);
  await requestCancel(world.as("carol"), "before");
  await world.advance(MINUTE);

  await createEnvironment(world.as("bob"), newEnvironment("job"));
  await world.advance(MINUTE);

  const [waits, job] = [await world.read("alice", "waits"), await world.read("bob", "job")];
  expect([waits.phase, waits.zone, waits.run.grant?.shares]).toEqual([
    "preparing",
    "zone-a",
    [{ node: null, units: 8, zone: "zone-a" }],
  ]);
  expect([job.phase, job.run.grant?.shares[0]?.node]).toEqual(["active", "h100-1"]);
});

test("a job whose machine the cluster gave to another starts elsewhere, and neither is blamed", async () => {
  const world = await memoryWorld({ ...slowImages, signals: false });

  await bothFree(world);
  await world.advance(MINUTE);
  const early = await world.read("behind", "job");
  await world.advance(2 * MINUTE);

  const { phase, run, placement, events } = await world.read("behind", "job");
  expect([early.phase, early.run.grant?.shares[0]?.node]).toEqual(["preparing", "h100-1"]);
  expect([phase, run.machines[0]?.name, placement.withdrawals]).toEqual(["active", "made-1", 0]);
  expect(events.timeline.map(({ reason }) => reason)).toContain(
    "Other runs were put on h100-1, which has no room left; waiting again",
  );
  expect((await viewPool(world.ctx, "h100"))?.setAside).toEqual([]);
});

test("does not blame a job without a start on a machine with an unreadable ledger item", async () => {
  const world = await memoryWorld({ ...slowImages, signals: false });
  await bothFree(world);
  await world.advance(MINUTE);
  const early = await world.read("behind", "job");
  const [item] = world.table.all().filter(({ kind, name }) => kind === "node" && name === "h100-1");

  await world.table.put({ ...item, format: FORMAT + 1 } as Item);
  await world.advance(30_000);

  const { placement, events } = await world.read("behind", "job");
  expect([early.phase, early.run.grant?.shares[0]?.node]).toEqual(["preparing", "h100-1"]);
  expect([placement.withdrawals, placement.withdrawn?.nodes]).toEqual([0, ["h100-1"]]);
  expect(events.timeline.map(({ reason }) => reason)).toContain(
    "Nothing could start on h100-1, and its other runs cannot be read; waiting again",
  );
});

test.each([
  ["can be read", undefined],
  ["cannot be read", "environment"],
  ["whose machine's ledger item cannot be read", "node"],
])("a run that moved to its machine while another one came, and %s, is not held twice", async (_, spoilt) => {
  const nodes = newNodes({ h100: 1 });
  const world = await memoryWorld({ nodes, settings: { nodeGroups: [{ ...group, mostNodes: 3 }] } });
  await createEnvironment(world.as("bob"), newEnvironment("job", { hours: 24 }));
  await world.advance(MINUTE);
  const another = nodes.map((node) => ({ ...node, name: "made-2", uid: "made-2", providerId: "memory:///made-2" }));
  const listNodes = async () => {
    await createEnvironment(world.as("alice"), newEnvironment("job", { hours: 24 }));
    await world.advance(10_000);
    return [...nodes, ...another];
  };
  let shares: unknown;
  let moved: Environment | undefined;
  let whole: Item | undefined;
  const getMany: Table["getMany"] = async (keys) => {
    const items = await world.table.getMany(keys);
    const alices = items.find(({ kind, owner }) => kind === "environment" && owner === world.as("alice").actor.uid);
    if (!alices || shares) return items;
    shares = (await world.read("alice", "job")).run.grant?.shares;
    joins(world, "made-1");
    await world.advance(2 * MINUTE);
    moved = await world.read("alice", "job");
    const { uid } = moved;
    whole = world.table.all().find((item) => item.kind === spoilt && (item.uid === uid || item.name === "made-1"));
    if (whole) await world.table.put({ ...whole, phase: "no phase", units: "no units" } as Item);
    return items;
  };

  await refreshCapacity({
    ...world.ctx,
    compute: { ...world.compute, listNodes },
    table: { ...world.table, getMany },
  });

  if (whole?.kind === "node") await world.table.put(whole);
  expect([shares, moved?.run.machines.map(({ name }) => name)]).toEqual([[{ node: null, units: 8 }], ["made-1"]]);
  const pool = await viewPool(world.ctx, "h100");
  expect(pool?.held.filter((holding) => holding.uid === moved?.uid)).toMatchObject([
    { shares: [{ node: "made-1", units: 8 }] },
  ]);
  expect((await world.table.get(makeableKey("h100")))?.held).toEqual([]);
  await refreshCapacity({
    ...world.ctx,
    compute: { ...world.compute, listNodes: async () => [...nodes, ...another] },
  });
  expect((await viewPool(world.ctx, "h100"))?.nodes.map(({ name }) => name)).toContain("made-2");
});

test("does not take a machine with an unreadable ledger item for one that can still be created", async () => {
  const nodes = newNodes({ h100: 1 });
  const world = await memoryWorld({ nodes, settings: { nodeGroups: [group] } });
  await createEnvironment(world.as("alice"), newEnvironment("job", { hours: 24 }));
  await world.advance(MINUTE);
  const [item] = world.table.all().filter(({ kind }) => kind === "node");
  await world.table.put({ ...item, format: 99 } as Item);

  await createEnvironment(world.as("bob"), newEnvironment("job"));
  await world.advance(MINUTE);

  expect((await world.read("bob", "job")).phase).toBe("queued");
  expect((await viewPool(world.ctx, "h100"))?.granted).toEqual([]);
});

test("an older worker adds no machine if `makeable` has a newer format", async () => {
  const world = await memoryWorld({ nodes: [], settings: { nodeGroups: [group] } });
  await plan(world, await submit(world, "alice"));
  const makeable = (await world.table.get(makeableKey("h100"))) as Item;
  const listed = async () => {
    await refreshCapacity(world.ctx);
    return (await viewPool(world.ctx, "h100"))?.nodes.map(({ name }) => name);
  };
  joins(world, "made-1");

  await world.table.put({ ...makeable, format: FORMAT + 1 } as Item);
  const byOlder = await listed();
  await world.table.put(makeable);

  expect([byOlder, await listed()]).toEqual([[], ["made-1"]]);
});
