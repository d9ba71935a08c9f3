import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item } from "../../ports/table.ts";
import { keyText, makeableKey, nodePartitions } from "../../store/keys.ts";
import { readCapacity } from "../admission/availability.ts";
import { refreshCapacity } from "../capacity/capacity.ts";

const MINUTE = 60_000;

/** Deletes the items of those machines, as a restore of an old table may. */
async function loseItems({ table }: MemoryWorld, ...names: string[]): Promise<void> {
  const pages = await Promise.all(nodePartitions("h100").map((pk) => table.query({ pk })));
  const lost = pages.flatMap(({ items }) => items).filter(({ name }) => names.includes(String(name)));
  for (const { pk, sk, writers } of lost) await table.remove({ pk, sk }, { ifWriter: writers[0] ?? "" });
  expect(lost).toHaveLength(names.length);
}

const heldIn = async ({ ctx }: MemoryWorld) =>
  ((await viewPool(ctx, "h100"))?.held ?? []).map(({ uid, shares, phase }) => [uid, shares, phase]);

test("does not grant a machine with a lost ledger item again while a job runs there", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("runs", { hours: 24 }));
  await world.advance(MINUTE);

  await loseItems(world, "h100-1");
  await createEnvironment(world.as("bob"), newEnvironment("waits"));
  await world.advance(3 * MINUTE);

  const { uid, run } = await world.read("alice", "runs");
  const { phase, reason } = await world.read("bob", "waits");
  expect(await heldIn(world)).toEqual([[uid, run.grant?.shares, "active"]]);
  expect([phase, reason]).toEqual(["queued", null]);
  const { pools } = await readCapacity(world.ctx);
  expect(pools.find(({ pool }) => pool === "h100")).toMatchObject({ inUse: 8, available: 0 });
  await requestCancel(world.as("alice"), "runs");
  await world.advance(3 * MINUTE);
  expect((await world.read("bob", "waits")).phase).toBe("active");
});

test.each([
  ["a single one of its machines", ["h100-2"]],
  ["all its machines", ["h100-1", "h100-2"]],
])("a run of several machines still holds them after the ledger items of %s were lost", async (_, names) => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 2 }) });
  await createEnvironment(world.as("alice"), newEnvironment("runs", { gpus: 16, hours: 24 }));
  await world.advance(MINUTE);
  const before = await heldIn(world);

  await loseItems(world, ...names);
  await createEnvironment(world.as("bob"), newEnvironment("waits"));
  await world.advance(3 * MINUTE);

  expect(await heldIn(world)).toEqual(before);
  expect((await world.read("bob", "waits")).phase).toBe("queued");
});

test("grants a machine with a lost ledger item to no job while a record that names it is unreadable", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("runs", { hours: 24 }));
  await world.advance(MINUTE);
  const { pk, sk, phase } = await world.read("alice", "runs");
  const edit = async (changes: object) => {
    const item = await world.table.get({ pk, sk });
    await world.table.put({ ...item, ...changes } as Item);
  };

  await edit({ phase: "no phase" });
  await loseItems(world, "h100-1");
  await createEnvironment(world.as("bob"), newEnvironment("waits"));
  await world.advance(3 * MINUTE);
  const meanwhile = (await viewPool(world.ctx, "h100"))?.nodes;
  await edit({ phase });
  await world.advance(3 * MINUTE);

  const { uid, run } = await world.read("alice", "runs");
  expect(meanwhile).toEqual([]);
  expect(await heldIn(world)).toEqual([[uid, run.grant?.shares, "active"]]);
  expect((await world.read("bob", "waits")).phase).toBe("queued");
});

test("does not recreate the lost ledger item of a machine while the record of the run placed there is unreadable", async () => {
  const group = { pool: "h100", mostNodes: 1, startupMs: 5 * MINUTE, zones: [] };
  const world = await memoryWorld({ nodes: [], settings: { nodeGroups: [group] } });
  await createEnvironment(world.as("alice"), newEnvironment("runs", { hours: 24 }));
  await world.advance(MINUTE);
  for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);
  await world.advance(3 * MINUTE);
  const { pk, sk, phase, placement } = await world.read("alice", "runs");

  await world.table.put({ ...(await world.table.get({ pk, sk })), phase: "no phase" } as Item);
  await loseItems(world, "h100-1");
  await refreshCapacity(world.ctx);

  expect([phase, placement.ledgers]).toEqual(["active", [keyText(makeableKey("h100"))]]);
  expect((await viewPool(world.ctx, "h100"))?.nodes).toEqual([]);
});

test("keeps a new machine for the job that waits for it although its ledger item was lost", async () => {
  const group = { pool: "h100", mostNodes: 1, startupMs: 5 * MINUTE, zones: [] };
  const world = await memoryWorld({ nodes: [], settings: { nodeGroups: [group] }, delays: { bindMs: 3 * MINUTE } });
  await createEnvironment(world.as("alice"), newEnvironment("first"));
  await world.advance(MINUTE);
  const { writers = [] } = (await world.table.get(makeableKey("h100"))) ?? {};
  await world.table.remove(makeableKey("h100"), { ifWriter: writers[0] ?? "" });

  for (const node of newNodes({ h100: 1 })) world.compute.setNode(node);
  await refreshCapacity(world.ctx);
  await createEnvironment(world.as("bob"), newEnvironment("second"));
  await world.advance(10 * MINUTE);

  const [first, second] = await Promise.all([world.read("alice", "first"), world.read("bob", "second")]);
  expect([first.phase, second.phase]).toEqual(["active", "queued"]);
  expect(await heldIn(world)).toEqual([[first.uid, [{ node: "h100-1", units: 8 }], "active"]]);
});
