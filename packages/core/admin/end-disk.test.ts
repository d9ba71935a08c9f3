import { expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { listDisks } from "../disks/view.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import type { Item } from "../ports/table.ts";
import { keyText } from "../store/keys.ts";
import { endRecord } from "./end-record.ts";
import { compareOrphans, readOrphans } from "./orphans.ts";

const MINUTE = 60_000;

function getDisk(world: MemoryWorld): Item {
  const disk = world.table.all().find(({ kind }) => kind === "disk");
  if (!disk) throw new Error("There is no disk");
  return disk;
}

/** Starts a job of alice with a disk that has a backup, then damages the disk's record. */
async function brokenDisk() {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
  await createEnvironment(world.as("alice"), newEnvironment("first", { disk: "data" }));
  await world.advance(MINUTE);
  await requestCancel(world.as("alice"), "first");
  await world.advance(10 * MINUTE);
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(MINUTE);
  const disk = getDisk(world);
  await world.table.put({ ...disk, sizeGb: "many" } as Item);
  return { world, disk, end: () => endRecord(world.ctx, keyText(disk)) };
}

test("ends a disk with an unreadable record: the name is free, and volume and snapshots are kept", async () => {
  const { world, disk, end } = await brokenDisk();
  const { volume, snapshots } = disk as Item & { volume: { id: string }; snapshots: readonly { id: string }[] };
  await requestCancel(world.as("alice"), "one");
  await world.advance(30 * MINUTE);
  expect((await world.read("alice", "one")).phase).toBe("stopping");

  const kept = await end();
  await world.advance(30 * MINUTE);

  expect(kept).toEqual({ volume: volume.id, snapshots: snapshots.map(({ id }) => id) });
  expect(snapshots).toHaveLength(1);
  expect((await world.read("alice", "one")).phase).toBe("cancelled");
  await createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));
  await world.advance(24 * 60 * MINUTE);
  expect(await listDisks(world.as("alice"))).toMatchObject([{ name: "data", disk: { sizeGb: disk.sizeGb } }]);
  expect(getDisk(world).uid).not.toBe(disk.uid);
  expect(await world.volumes.findVolume(volume.id)).toMatchObject({ id: volume.id });
  for (const { id } of snapshots) expect(await world.volumes.findSnapshot(id)).toMatchObject({ id });
  expect(world.table.all().find(({ kind }) => kind === "ended-disk")?.record).toMatchObject({ uid: disk.uid });
});

test("lists the volume of an ended disk as such, not as that of an unknown disk", async () => {
  const { world, end } = await brokenDisk();
  await requestCancel(world.as("alice"), "one");
  const { volume, snapshots } = (await end()) ?? { volume: undefined, snapshots: [] };

  await compareOrphans(world.ctx);

  const why = "its record could not be read, and was ended";
  const report = await readOrphans(world.ctx);
  expect(report?.volumes).toMatchObject([{ volume, why }]);
  expect(report?.snapshots).toMatchObject(snapshots.map((snapshot) => ({ snapshot, why })));
  expect(snapshots).toHaveLength(1);
});

test("gives the same answer when the end of a disk is repeated", async () => {
  const { world, end } = await brokenDisk();
  await requestCancel(world.as("alice"), "one");

  const first = await end();

  expect(await end()).toEqual(first);
});

test("ends no disk that a job uses, that is readable or that does not exist", async () => {
  const { world, disk, end } = await brokenDisk();

  await expect(end()).rejects.toMatchObject({ kind: "conflict", message: "Disk is in use by one: end that first" });
  await world.table.put({ ...getDisk(world), sizeGb: disk.sizeGb } as Item);
  await expect(end()).rejects.toMatchObject({ kind: "conflict", message: expect.stringContaining("is readable") });
  const otherName = keyText({ pk: disk.pk, sk: "f".repeat(32) });
  await expect(endRecord(world.ctx, otherName)).rejects.toMatchObject({ kind: "notFound" });
  expect(await listDisks(world.as("alice"))).toMatchObject([{ name: "data", inUse: true }]);
});

test.each([
  ["missing", undefined],
  ["without the uid of a life", { uid: "somebody", key: "owner#1#env#gpu-dev|one", id: "one" }],
])("ends no disk whose holder is %s while any job of its owner uses it", async (_, heldBy) => {
  const { world, disk, end } = await brokenDisk();
  await world.table.put({ ...disk, heldBy } as Item);
  await createEnvironment(world.as("bob"), newEnvironment("other", { disk: "data" }));
  await createEnvironment(world.as("alice"), newEnvironment("another", { disk: "second" }));

  await expect(end()).rejects.toMatchObject({ kind: "conflict", message: "Disk is in use by one: end that first" });
  const environment = await world.read("alice", "one");
  await world.table.put({ ...environment, phase: "hibernating" } as never);
  await expect(end()).rejects.toMatchObject({ kind: "conflict", message: "Disk may be in use by one: end that first" });
  await world.table.put({ ...environment, writers: ["hand"] });
  await requestCancel(world.as("alice"), "one");
  await world.advance(MINUTE);

  expect(await end()).toMatchObject({ volume: expect.any(String) });
});

test("keeps the name of a disk whose record is repaired while it is being ended", async () => {
  const { world, disk } = await brokenDisk();
  await requestCancel(world.as("alice"), "one");
  const put: typeof world.table.put = async (item, options) => {
    await world.table.put(item, options);
    if ((item as Item).kind === "ended-disk") await world.table.put({ ...disk, writers: ["hand"] } as Item);
  };

  await expect(endRecord({ ...world.ctx, table: { ...world.table, put } }, keyText(disk))).rejects.toThrow("Changed");

  expect(await listDisks(world.as("alice"))).toMatchObject([{ name: "data", disk: { uid: disk.uid } }]);
});
