import { expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { deleteDisk } from "../disks/requests.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import type { Item, Key } from "../ports/table.ts";
import { diskShards, getDueShard, isFormerShard } from "../store/due.ts";
import { deliveriesPartition, disksPartition, keyText, poolKey } from "../store/keys.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const IN_2300 = Date.UTC(2300, 0);
const receiver = "https://hooks.example.com/a";

const edits: readonly [string, Record<string, unknown>][] = [
  ["in a shard that there is not", { dueShard: "zz" }],
  ["in a shard of deliveries", { dueShard: "w0" }],
  ["in a shard of disks", { dueShard: "d0" }],
  ["in no shard", { dueShard: "" }],
  ["in the year 2300", { dueAt: IN_2300 }],
];

async function edit({ table }: MemoryWorld, key: Key, fields: Record<string, unknown>): Promise<void> {
  const item = await table.get(key);
  if (!item) throw new Error("There is no such record");
  await table.put({ ...item, ...fields });
}

async function activeWorld() {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), log });
  await createEnvironment(world.as("alice"), { ...newEnvironment("one", { disk: "data" }), receiver });
  await world.advance(MINUTE);
  const alarms = () =>
    log.lines.filter(({ level, event }) => level === "error" && event === "due where no sweep looks");
  return { world, alarms, key: await world.read("alice", "one") };
}

test.each(edits)("an environment due %s ends in time and raises an alarm", async (_, fields) => {
  const { world, alarms, key } = await activeWorld();
  await edit(world, key, fields);

  await world.advance(HOUR + 10 * MINUTE);

  expect(await world.read("alice", "one")).toMatchObject({ phase: "expired" });
  expect(alarms().length).toBeGreaterThan(0);
});

test.each(edits)("an environment or ledger due %s is due within minutes in its own shard again", async (_, fields) => {
  const { world, key } = await activeWorld();
  await edit(world, key, fields);
  await edit(world, poolKey("h100"), fields);

  await world.advance(40 * MINUTE);

  for (const { pk, sk } of [key, poolKey("h100")]) {
    const item = await world.table.get({ pk, sk });
    expect(item?.dueShard).toBe(getDueShard(world.ctx.ids, { pk, sk }));
    expect(item?.dueAt).toBeLessThan(world.clock.now() + 6 * MINUTE);
  }
});

test("a disk in the shard of an earlier version moves to its own with its next step, without an alarm", async () => {
  const { world, alarms } = await activeWorld();
  await world.advance(HOUR + MINUTE);
  await deleteDisk(world.as("alice"), "data");
  await world.advance(MINUTE);
  const { items } = await world.table.query({ pk: disksPartition(world.as("alice").actor.uid) });
  const disk = items.find(({ kind }) => kind === "disk") as Item;
  const formerShard = world.ctx.ids.hash(keyText(disk)).slice(0, 1);
  await edit(world, disk, { dueShard: formerShard });

  const before = await world.table.get(disk);
  await world.advance(2 * DAY);
  const after = await world.table.get(disk);

  expect(isFormerShard(world.ctx.ids, disk, formerShard)).toBe(true);
  expect(before).toMatchObject({ phase: "deleted", dueShard: formerShard });
  expect(diskShards).toContain(after?.dueShard);
  expect(after?.dueShard).toBe(getDueShard(world.ctx.ids, disk));
  expect(alarms()).toEqual([]);
});

test("a disk in the shard of an earlier version whose message was lost is purged after its retention", async () => {
  const { world, alarms } = await activeWorld();
  await world.advance(HOUR + MINUTE);
  await deleteDisk(world.as("alice"), "data");
  await world.advance(MINUTE);
  const { items } = await world.table.query({ pk: disksPartition(world.as("alice").actor.uid) });
  const disk = items.find(({ kind }) => kind === "disk") as Item;
  await edit(world, disk, { dueShard: world.ctx.ids.hash(keyText(disk)).slice(0, 1), dueAt: disk.purgeAt });

  await world.advance(Number(disk.purgeAt) - world.clock.now() + HOUR);

  expect((await world.table.get(disk))?.phase).toBe("purged");
  expect(alarms()).toEqual([]);
});

test("finds a disk and a delivery due in the year 2300 within the hour, and ignores records that are rightly far ahead", async () => {
  const { world, alarms } = await activeWorld();
  world.fetch.answer(receiver, () => ({ status: 500, retryAfterMs: null }));
  await world.advance(HOUR + MINUTE);
  await deleteDisk(world.as("alice"), "data");
  await world.advance(2 * HOUR);
  expect(alarms()).toEqual([]);
  const owner = world.as("alice").actor.uid;
  const { items: disks } = await world.table.query({ pk: disksPartition(owner) });
  const { items: deliveries } = await world.table.query({ pk: deliveriesPartition(owner) });
  const disk = disks.find(({ kind }) => kind === "disk") as Item;
  const delivery = deliveries.find(({ state }) => state === "waiting") as Item;
  await edit(world, disk, { dueAt: IN_2300 });
  await edit(world, delivery, { dueAt: IN_2300 });

  await world.advance(HOUR);

  const dueAts = await Promise.all([disk, delivery].map(async (key) => Number((await world.table.get(key))?.dueAt)));
  expect(dueAts.every((at) => at < world.clock.now() + 31 * DAY)).toBe(true);
  expect(alarms().map(({ fields }) => fields?.dueAt)).toEqual([IN_2300, IN_2300]);
});
