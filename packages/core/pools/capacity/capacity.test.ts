import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { ComputeNode } from "../../ports/compute.ts";
import { runMarksKey } from "../../store/keys.ts";
import { pauseAdmission } from "../admission/admission.ts";
import { findPool, type Pool } from "../ledger/record.ts";
import { refreshCapacity } from "./capacity.ts";
import { listNodes } from "./list-nodes.ts";
import { declareNodeGone, WORD_MS } from "./node-gone.ts";

const MINUTE = 60_000;

/** Returns a world in which a job holds half of the first of two machines. */
async function halfHeld(): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  await createEnvironment(world.as("alice"), newEnvironment("runs", { gpus: 4, hours: 240 }));
  await world.advance(MINUTE);
  return world;
}

/** Refreshes the ledger from a cluster with only these machines. */
async function refreshWith(world: MemoryWorld, nodes: readonly ComputeNode[]): Promise<void> {
  await refreshCapacity({ ...world.ctx, compute: { ...world.ctx.compute, listNodes: async () => [...nodes] } });
}

async function nodeNamed({ ctx }: MemoryWorld, name: string) {
  return (await viewPool(ctx, "h100"))?.nodes.find((node) => node.name === name);
}

test("grants a machine that one listing missed once the next listing shows it", async () => {
  const world = await halfHeld();
  const all = await world.compute.listNodes();
  await refreshWith(
    world,
    all.filter(({ name }) => name !== "h100-1"),
  );
  const missed = await nodeNamed(world, "h100-1");

  await refreshWith(world, all);
  await createEnvironment(world.as("bob"), newEnvironment("whole", { gpus: 8 }));
  await createEnvironment(world.as("carol"), newEnvironment("half", { gpus: 4 }));
  await world.advance(10_000);

  expect(missed).toMatchObject({ ready: false, gone: true });
  expect(await nodeNamed(world, "h100-1")).toMatchObject({ ready: true });
  expect(await nodeNamed(world, "h100-1")).not.toHaveProperty("gone");
  expect((await world.read("carol", "half")).phase).toBe("active");
});

test("grants nothing on a machine that reports a fault, and lists the fault until it is over", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  const [node] = await world.compute.listNodes();
  if (!node) throw new Error("There is no node");
  const fault = "AcceleratedHardwareReady is False: NvidiaXID79Error";
  world.compute.setNode({ ...node, ready: false, unready: "notReady", fault });
  await refreshCapacity(world.ctx);

  await createEnvironment(world.as("ada"), newEnvironment("one"));
  await world.deliver();
  const [faulty] = await listNodes(world.ctx);
  const waiting = await world.read("ada", "one");
  world.compute.setNode(node);
  await refreshCapacity(world.ctx);
  await world.deliver();

  expect(faulty).toMatchObject({ state: "not_ready", fault });
  expect(waiting.phase).toBe("queued");
  expect((await listNodes(world.ctx))[0]).toMatchObject({ state: "ready", fault: null });
  expect((await world.read("ada", "one")).phase).not.toBe("queued");
});

test("drops the reason of an unready machine once it is ready again", async () => {
  const world = await halfHeld();
  const all = await world.compute.listNodes();
  await refreshWith(
    world,
    all.map((node) => ({ ...node, ready: false, unready: "cordoned" as const })),
  );
  const cordoned = await nodeNamed(world, "h100-1");

  await refreshWith(world, all);

  expect(cordoned).toMatchObject({ ready: false, unready: "cordoned" });
  expect(await nodeNamed(world, "h100-1")).toMatchObject({ ready: true });
  expect((await nodeNamed(world, "h100-1"))?.unready).toBeUndefined();
});

test("keeps a listed machine gone for a day after the operator declared it, then grants it again", async () => {
  const world = await halfHeld();
  const all = await world.compute.listNodes();
  await declareNodeGone(world.as("admin"), "h100-2");

  world.clock.advance(WORD_MS - 1);
  await refreshWith(world, all);
  const [before] = [await nodeNamed(world, "h100-2")];
  world.clock.advance(1);
  await refreshWith(world, all);

  expect(before).toMatchObject({ ready: false, gone: true });
  expect(await nodeNamed(world, "h100-2")).toMatchObject({ ready: true });
  expect(await nodeNamed(world, "h100-2")).not.toHaveProperty("saidAt");
  expect(await nodeNamed(world, "h100-2")).not.toHaveProperty("gone");
});

test("removes the item of an unused machine that a listing misses, and plans the pool", async () => {
  const world = await halfHeld();
  const all = await world.compute.listNodes();

  await refreshWith(
    world,
    all.filter(({ name }) => name !== "h100-2"),
  );
  const due = (await viewPool(world.ctx, "h100"))?.dueAt;

  expect(await nodeNamed(world, "h100-2")).toBeUndefined();
  expect(due).toBe(world.clock.now());
});

test("a listing without changes writes nothing and plans nothing", async () => {
  const world = await halfHeld();
  const all = await world.compute.listNodes();
  await refreshWith(world, all);
  const before = await viewPool(world.ctx, "h100");

  world.clock.advance(1_000);
  await refreshWith(world, all);

  expect(await viewPool(world.ctx, "h100")).toEqual(before);
});

/** Returns a machine as listed without time to read its pods. */
function unread({ runs: _runs, ...node }: ComputeNode): ComputeNode {
  return { ...node, foreignUnits: node.units, unread: true };
}

test("a machine whose pods were not read keeps its foreign units, and updates its readiness", async () => {
  const world = await halfHeld();
  const all = await world.compute.listNodes();
  const nodes = all.map((node) => (node.name === "h100-2" ? { ...node, foreignUnits: 3 } : node));
  await refreshWith(world, nodes);

  await refreshWith(
    world,
    nodes.map((node) => ({ ...unread(node), ready: false, unready: "cordoned" as const })),
  );
  const cordoned = [await nodeNamed(world, "h100-1"), await nodeNamed(world, "h100-2")];
  await refreshWith(world, nodes.map(unread));

  expect(cordoned).toMatchObject([
    { ready: false, unready: "cordoned", foreignUnits: 0 },
    { ready: false, unready: "cordoned", foreignUnits: 3 },
  ]);
  expect(await nodeNamed(world, "h100-2")).toMatchObject({ ready: true, foreignUnits: 3 });
});

test("grants nothing on a new machine until its pods are read", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), log });
  await world.advance(MINUTE);
  const [first, second] = newNodes({ h100: 2 });
  if (!first || !second) throw new Error("No machines");
  await refreshWith(world, [first, unread(second)]);
  const before = await nodeNamed(world, "h100-2");

  await refreshWith(world, [unread(first), { ...second, foreignUnits: 5 }]);

  expect(before).toBeUndefined();
  expect(await nodeNamed(world, "h100-2")).toMatchObject({ ready: true, foreignUnits: 5 });
  const lines = log.lines.filter(({ event }) => event === "capacity listed in part");
  expect(lines.map(({ level, fields }) => [level, fields])).toEqual([
    ["warn", { nodes: 2, unread: 1 }],
    ["warn", { nodes: 2, unread: 1 }],
  ]);
});

test("removes a lost machine although the pods of no other machine were read", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  await world.advance(MINUTE);
  const [first] = await world.compute.listNodes();
  if (!first) throw new Error("No machines");

  await refreshWith(world, [unread(first)]);

  expect((await viewPool(world.ctx, "h100"))?.nodes.map(({ name, ready }) => [name, ready])).toEqual([
    ["h100-1", true],
  ]);
});

test("does not count lost units as free although the machine's pods were not read", async () => {
  const world = await halfHeld();
  const nodes = (await world.compute.listNodes()).map((node) =>
    node.name === "h100-2" ? { ...node, foreignUnits: 6 } : node,
  );
  await refreshWith(world, nodes);

  await refreshWith(
    world,
    nodes.map((node) => unread({ ...node, units: 4 })),
  );

  expect(await nodeNamed(world, "h100-2")).toMatchObject({ units: 4, foreignUnits: 4 });
});

/** Returns a world in which the listing takes this long, and its log. */
async function slowlyListed(ms: number) {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), log });
  await createEnvironment(world.as("alice"), newEnvironment("runs", { gpus: 4, hours: 24 }));
  await world.advance(MINUTE);
  world.clock.advance(1_000);
  for (const node of newNodes({ h100: 2 })) world.compute.setNode(node);
  const listNodes = async () => {
    const listed = await world.compute.listNodes();
    world.clock.advance(ms);
    return listed;
  };
  return { world, log, slow: { ...world.ctx, compute: { ...world.ctx.compute, listNodes } } };
}

test("accepts a listing that takes 40 s, and adds the new machine", async () => {
  const { world, log, slow } = await slowlyListed(40_000);

  await refreshCapacity(slow);

  expect(await nodeNamed(world, "h100-2")).toMatchObject({ ready: true });
  expect(log.lines.filter(({ level }) => level === "error")).toEqual([]);
});

test("raises an alarm for a slower listing, and still writes run marks and the operator's setting", async () => {
  const { world, log, slow } = await slowlyListed(40_001);
  const { uid } = await world.read("alice", "runs");
  const before = await world.table.get(runMarksKey(uid.slice(0, 1)));
  await pauseAdmission(world.ctx, true);
  const pool = await findPool(world.ctx, "h100");
  const open: Pool | undefined = pool && { ...pool, closed: null };
  if (open) await world.table.put(open);

  await refreshCapacity(slow);

  expect(await nodeNamed(world, "h100-2")).toBeUndefined();
  expect(log.lines.filter(({ level }) => level === "error").map(({ event, fields }) => [event, fields])).toEqual([
    ["capacity listed too slowly", { seconds: 40, nodes: 2 }],
  ]);
  const after = await world.table.get(runMarksKey(uid.slice(0, 1)));
  expect(Number(after?.at)).toBeGreaterThan(Number(before?.at ?? 0));
  expect((await findPool(world.ctx, "h100"))?.closed).toBe("paused");
});
