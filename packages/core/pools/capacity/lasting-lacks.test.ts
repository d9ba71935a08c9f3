import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld } from "#tests/worlds/memory-world.ts";
import type { MachineGroup } from "../../ports/machine-groups.ts";
import type { Item } from "../../ports/table.ts";
import { HOUR_MS, MINUTE_MS } from "../../units.ts";
import { readMakeable } from "../ledger/ledger.ts";
import type { Shortage } from "../ledger/record.ts";
import { isRecent } from "../ledger/shortage.ts";

const wide: MachineGroup = {
  name: "p5",
  instanceTypes: ["p5.48xlarge"],
  zones: ["zone-a", "zone-b"],
  mostNodes: 2,
  isActive: true,
  admitsRuns: true,
};

/** Returns a world whose group lacks machines in a zone, after these tries in zone a. */
async function worldWithShortage(shortage: (now: number) => Shortage, lacking = "zone-a"): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: [] });
  world.machineGroups.set([{ ...wide, lacks: "machines", lacksIn: [lacking] }]);
  await world.advance(2 * MINUTE_MS);
  const makeable = await readMakeable(world.ctx, "h100");
  const zoneShortages = { ...makeable.zoneShortages, "zone-a": shortage(world.clock.now()) };
  await world.table.put({ ...makeable, zoneShortages } as unknown as Item);
  return world;
}

const readShortages = async (world: MemoryWorld) => (await readMakeable(world.ctx, "h100")).zoneShortages ?? {};

test("a zone keeps its failed tries while the lack of its node group moves to another zone", async () => {
  const world = await worldWithShortage((now) => ({ count: 5, failedAt: now, until: now + 12 * MINUTE_MS }));
  world.machineGroups.set([{ ...wide, lacks: "machines", lacksIn: ["zone-b"] }]);
  await world.advance(6 * MINUTE_MS);
  const moved = await readShortages(world);
  world.machineGroups.set([wide]);
  await world.advance(6 * MINUTE_MS);

  expect(moved).toMatchObject({ "zone-a": { count: 5 }, "zone-b": { count: 1 } });
  expect(await readShortages(world)).toEqual({});
});

test("a zone keeps its own failed tries when the lack of another zone of its node group ends", async () => {
  const world = await worldWithShortage((now) => ({ count: 5, failedAt: now, until: now + 12 * MINUTE_MS }), "zone-b");
  await world.advance(6 * MINUTE_MS);
  world.machineGroups.set([wide]);
  await world.advance(6 * MINUTE_MS);

  expect(await readShortages(world)).toMatchObject({ "zone-a": { count: 5 } });
  expect(await readShortages(world)).not.toHaveProperty("zone-b");
});

test("a zone keeps its failed tries as long as the provider reports its lack", async () => {
  const ago = (now: number) => now - 11 * HOUR_MS;
  const world = await worldWithShortage((now) => ({ count: 5, failedAt: ago(now), until: ago(now) }));
  await world.advance(2 * HOUR_MS);

  const { "zone-a": shortage } = await readShortages(world);

  expect(shortage?.count).toBe(5);
  expect(isRecent(shortage, world.clock.now())).toBe(true);
});
