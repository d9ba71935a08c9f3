import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { compareOrphans } from "../../admin/orphans.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item } from "../../ports/table.ts";
import { diskKey } from "../../store/keys.ts";
import type { Disk } from "../record.ts";
import { getDisk } from "../view.ts";

const HOUR = 3_600_000;

async function usedWorld(): Promise<MemoryWorld> {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(2000);
  await requestCancel(world.as("alice"), "one");
  await world.advance(10 * 60_000);
  return world;
}

async function computeDisk(world: MemoryWorld): Promise<Disk> {
  return (await getDisk(world.as("alice"), "data")).disk;
}

/** Rewrites the record as a version without its own disk checks left it. */
async function undate(world: MemoryWorld, edit: Partial<Disk> = {}): Promise<Disk> {
  const { dueAt: _, ...disk } = { ...(await computeDisk(world)), ...edit };
  await world.table.put(disk as Item);
  return computeDisk(world);
}

test("the comparison finds an earlier version's disk that no sweep finds, and checks it", async () => {
  const world = await usedWorld();
  const { taggedAs } = await computeDisk(world);
  const undated = await undate(world, { taggedAs: null });

  await compareOrphans(world.ctx);
  const dated = await computeDisk(world);
  await world.advance(HOUR);

  expect([taggedAs, undated.dueAt]).toEqual(["data", undefined]);
  expect({ ...dated, dueAt: undefined, writers: undated.writers }).toEqual({ ...undated, dueAt: undefined });
  expect(dated.dueAt).toBeGreaterThan(world.clock.now() - 2 * HOUR);
  expect((await computeDisk(world)).taggedAs).toBe("data");
});

test("a disk that has a time or is purged is not written by the comparison", async () => {
  const world = await usedWorld();
  const dated = await computeDisk(world);
  await compareOrphans(world.ctx);
  const compared = await computeDisk(world);
  const { dueAt: _, ...purged } = { ...dated, phase: "purged" };
  await world.table.put(purged as Item);

  await compareOrphans(world.ctx);

  expect(compared).toEqual(dated);
  expect(await world.table.get(diskKey(dated.owner, dated.uid))).toEqual(purged);
});

test("a disk that needs no check stays without a time", async () => {
  const world = await memoryWorld();
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  // By then, no creation is pending.
  await world.advance(20 * 60_000);
  const undated = await undate(world);

  await compareOrphans(world.ctx);

  expect(undated.volume).not.toBeNull();
  expect(await computeDisk(world)).toEqual(undated);
});

test("a disk that changes during the comparison keeps the other write", async () => {
  const world = await usedWorld();
  await undate(world);
  const getMany: typeof world.table.getMany = async (keys) => {
    const items = await world.table.getMany(keys);
    await world.table.put({ ...(await computeDisk(world)), dueAt: 77, writers: ["theirs"] } as never);
    return items;
  };

  await compareOrphans({ ...world.ctx, table: { ...world.table, getMany } });

  expect(await computeDisk(world)).toMatchObject({ dueAt: 77, writers: ["theirs"] });
});
