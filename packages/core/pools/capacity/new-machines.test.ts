import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { toKey } from "../../environments/record/record.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Key, Table } from "../../ports/table.ts";
import { keyText, kindOfKey, nodeGoneKey, poolKey } from "../../store/keys.ts";
import { planPools } from "../plan/planner.ts";
import { refreshCapacity } from "./capacity.ts";

const MINUTE = 60_000;

/** Returns a world with a job on the pool's only machine. */
async function runningWorld(): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("runs", { hours: 24 }));
  await world.advance(MINUTE);
  return world;
}

/** Adds a second machine, and marks the first unready. */
function change({ compute }: MemoryWorld): void {
  const [first, second] = newNodes({ h100: 2 });
  if (!first || !second) throw new Error("There are no nodes");
  compute.setNode({ ...first, ready: false });
  compute.setNode(second);
}

/** Runs this before environments are read. */
function beforeRecords(table: Table, work: (keys: readonly Key[]) => Promise<unknown> | undefined): Table {
  return {
    ...table,
    async getMany(keys) {
      if (keys.some((key) => kindOfKey(key) === "environment")) await work(keys);
      return table.getMany(keys);
    },
  };
}

const nodesIn = async ({ ctx }: MemoryWorld) =>
  ((await viewPool(ctx, "h100"))?.nodes ?? []).map(({ name, ready, gone = false }) => ({ name, ready, gone }));

test("grants a machine that is listed while a plan without it is written to the waiting job at once", async () => {
  const world = await runningWorld();
  await createEnvironment(world.as("bob"), newEnvironment("waits"));
  await world.advance(10_000);
  world.clock.advance(MINUTE);
  change(world);
  let isListed = false;
  const table: Table = {
    ...world.table,
    async put(item, options) {
      if (item.pk === poolKey("h100").pk && !isListed) {
        isListed = true;
        await refreshCapacity(world.ctx);
      }
      return world.table.put(item, options);
    },
  };

  await planPools({ ...world.ctx, table }, [{ look: keyText(poolKey("h100")) }]);
  await world.advance(5_000);

  expect(isListed).toBe(true);
  expect((await world.read("bob", "waits")).phase).toBe("active");
});

test("writes the known machines if the records for a new one cannot be read, and reports the failure", async () => {
  const world = await runningWorld();
  change(world);
  const table = beforeRecords(world.table, () => Promise.reject(new Error("throttled")));

  const refreshed = refreshCapacity({ ...world.ctx, table });

  await expect(refreshed).rejects.toThrow("throttled");
  expect(await nodesIn(world)).toEqual([{ name: "h100-1", ready: false, gone: false }]);
  await refreshCapacity(world.ctx);
  expect(await nodesIn(world)).toMatchObject([{ name: "h100-1" }, { name: "h100-2", ready: true }]);
});

test("reads the records for a new machine a few hundred at a time", async () => {
  const world = await runningWorld();
  const runs = await world.read("alice", "runs");
  for (let n = 0; n < 700; n++) await world.table.put({ ...runs, sk: `${runs.sk}-${n}` });
  change(world);
  const result = new Map<string, number>();
  const sizes: number[] = [];
  const table = beforeRecords(world.table, async (keys) => {
    sizes.push(keys.length);
    for (const { sk } of keys) result.set(sk, (result.get(sk) ?? 0) + 1);
  });

  await refreshCapacity({ ...world.ctx, table });

  expect(result.size).toBe(701);
  expect(result.get(toKey(runs).sk)).toBe(1);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(500);
});

test("adds a machine that the operator declares gone while the records are read as gone", async () => {
  const world = await runningWorld();
  change(world);
  const at = world.clock.now();
  const word = { ...nodeGoneKey("node-h100-2"), writers: [], kind: "node-gone", node: "h100-2", at };
  const table = beforeRecords(world.table, () => world.table.put(word));

  await refreshCapacity({ ...world.ctx, table });

  expect(await nodesIn(world)).toContainEqual({ name: "h100-2", ready: false, gone: true });
});
