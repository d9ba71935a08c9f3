import { describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { directoryKey, keyText } from "../../store/keys.ts";
import { writeRecord } from "../../store/write-record.ts";
import { restoreDisk } from "../backups/from-snapshot.ts";
import { createDisk } from "../create.ts";
import { getOperation } from "../operations.ts";
import { type Disk, findDisk } from "../record.ts";
import { deleteDisk, undeleteDisk } from "../requests.ts";
import { getDisk, listDisks } from "../view.ts";
import { readDirectory } from "./directory.ts";
import { renameDisk } from "./rename.ts";

const DAY = 24 * 3_600_000;

async function useOnce(world: MemoryWorld, id: string, disk = "data"): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk }));
  await world.advance(2000);
  await requestCancel(world.as("alice"), id);
  await world.advance(10_000);
}

/** Alice has used the disk `data` and deleted it. */
async function worldWithDeleted(name = "data") {
  const world = await memoryWorld();
  const alice = world.as("alice");
  await useOnce(world, "one", name);
  const { disk: old } = await getDisk(alice, name);
  await deleteDisk(alice, name);
  await world.advance(2000);
  return { world, alice, old, aside: `${name.slice(0, 55)}-${old.uid.slice(0, 8)}` };
}

type Alice = ReturnType<MemoryWorld["as"]>;

const listNames = async (alice: Alice, deleted: boolean) =>
  (await listDisks(alice, { deleted })).map(({ name }) => name);

describe("the name of a deleted disk", () => {
  test("goes to a new disk at once, and the deleted disk is listed under a name with its id", async () => {
    const { world, alice, old, aside } = await worldWithDeleted();

    await createDisk(alice, { name: "data", sizeGb: 10 });
    await world.advance(2000);

    const { disk } = await getDisk(alice, "data");
    expect([await listNames(alice, false), await listNames(alice, true)]).toEqual([["data"], [aside]]);
    expect(disk).toMatchObject({ phase: "available", volume: null, snapshots: [] });
    expect((await getDisk(alice, aside)).disk).toMatchObject({ uid: old.uid, phase: "deleted", volume: old.volume });
  });

  test("can be reused repeatedly, and each deleted disk keeps its own volume and backups", async () => {
    const { world, alice, old, aside } = await worldWithDeleted();
    await createDisk(alice, { name: "data", sizeGb: 10 });
    await useOnce(world, "two");
    const second = (await getDisk(alice, "data")).disk;
    await deleteDisk(alice, "data");
    await createDisk(alice, { name: "data", sizeGb: 10 });
    await useOnce(world, "three");

    const third = (await getDisk(alice, "data")).disk;
    const kept = [(await getDisk(alice, aside)).disk, (await getDisk(alice, `data-${second.uid.slice(0, 8)}`)).disk];

    expect(new Set([old, second, third].map(({ volume }) => volume?.id)).size).toBe(3);
    expect(kept).toMatchObject([old, second].map(({ uid, volume, snapshots }) => ({ uid, volume, snapshots })));
  });

  test("leads only to the new disk when the deleted one is purged with its own content", async () => {
    const { world, alice, old, aside } = await worldWithDeleted();
    await createDisk(alice, { name: "data", sizeGb: 10 });
    await useOnce(world, "two");
    const { disk } = await getDisk(alice, "data");

    await world.advance(31 * DAY);

    await expect(getDisk(alice, aside)).rejects.toThrow("not found");
    expect((await stored(world, old)).phase).toBe("purged");
    expect(world.volumes.volumeIds()).toEqual([disk.volume?.id]);
    expect(world.volumes.snapshotIds()).toEqual(disk.snapshots.map(({ id }) => id));
    expect((await getDisk(alice, "data")).disk).toMatchObject({ uid: disk.uid, phase: "available" });
  });

  test("is on the tags of the new disk's backups, and those of the deleted disk get its new name", async () => {
    const { world, alice, old, aside } = await worldWithDeleted();
    await createDisk(alice, { name: "data", sizeGb: 10 });
    await useOnce(world, "two");
    await world.advance(DAY);

    const found = await Promise.all(world.volumes.snapshotIds().map((id) => world.volumes.findSnapshot(id)));
    const { uid } = (await getDisk(alice, "data")).disk;

    expect(found.map((snapshot) => [snapshot?.tags.disk, snapshot?.tags.name])).toEqual([
      [old.uid, aside],
      [uid, "data"],
    ]);
  });

  test("can be reused by a rename and a restore, even of the deleted disk's backup", async () => {
    const { world, alice, old, aside } = await worldWithDeleted();
    await createDisk(alice, { name: "other", sizeGb: 10 });
    await renameDisk(alice, "other", "data");
    await deleteDisk(alice, "data");
    const [snapshot] = old.snapshots;
    const ids = { id: "restore", uid: "b".repeat(32) };

    const wanted = { snapshotId: snapshot?.id ?? "", newName: aside };
    const { source } = await restoreDisk(alice, aside, wanted, ids);
    const repeated = await restoreDisk(alice, aside, wanted, ids);
    await world.advance(2000);

    expect(source.id).toBe(snapshot?.id);
    expect(repeated.operation.id).toBe("op-restore");
    expect(await listNames(alice, false)).toEqual([aside]);
    expect((await getDisk(alice, aside)).disk).toMatchObject({ uid: ids.uid, source: { id: snapshot?.id } });
    expect((await getDisk(alice, `${aside}-${old.uid.slice(0, 8)}`)).disk.restores).toMatchObject([{ disk: ids.uid }]);
  });

  test("is not reused for a job's own new disk, because the job would start empty without notice", async () => {
    const { alice } = await worldWithDeleted();

    const submitted = createEnvironment(alice, newEnvironment("two", { disk: "data" }));

    await expect(submitted).rejects.toThrow("Disk 'data' is marked for deletion");
    expect(await listNames(alice, true)).toEqual(["data"]);
  });

  test("can be reused once the purge has begun, even by a job and if the volume cannot be removed", async () => {
    const { world, alice, old } = await worldWithDeleted();
    const { removeVolume } = world.volumes;
    Object.assign(world.volumes, { removeVolume: () => Promise.reject(new Error("VolumeInUse")) });
    const purging: Disk = { ...(await stored(world, old)), phase: "purging", making: [pending(world)] };
    await world.table.put(purging);

    await createEnvironment(alice, newEnvironment("two", { disk: "data" }));
    await world.advance(60_000);
    Object.assign(world.volumes, { removeVolume });
    const { disk } = await getDisk(alice, "data");
    await world.advance(2 * DAY);

    expect(disk.uid).not.toBe(old.uid);
    expect((await stored(world, old)).phase).toBe("purged");
    expect(world.volumes.volumeIds()).toEqual([disk.volume?.id]);
  });

  test("may have 64 characters, and the deleted disk's new name is no longer", async () => {
    const name = "x".repeat(64);
    const { alice, old, aside } = await worldWithDeleted(name);

    await createDisk(alice, { name, sizeGb: 10 });

    expect(aside).toHaveLength(64);
    expect((await getDisk(alice, aside)).disk.uid).toBe(old.uid);
  });

  test("can be reused if the deleted disk's new name is taken: that disk is then named by its whole id", async () => {
    const { alice, old, aside } = await worldWithDeleted();
    await createDisk(alice, { name: aside, sizeGb: 10 });

    await createDisk(alice, { name: "data", sizeGb: 10 });

    expect(await listNames(alice, true)).toEqual([old.uid]);
  });

  test("stays taken while its disk's record is invalid, or both replacement names are taken", async () => {
    const { world, alice, old, aside } = await worldWithDeleted();
    await createDisk(alice, { name: aside, sizeGb: 10 });
    const record = await stored(world, old);
    await world.table.put({ ...record, sizeGb: "many" } as never);
    await expect(createDisk(alice, { name: "data", sizeGb: 10 })).rejects.toThrow("Disk 'data' already exists");
    await world.table.put({ ...record, writers: ["hand"] });
    await createDisk(alice, { name: old.uid, sizeGb: 10 });

    await expect(createDisk(alice, { name: "data", sizeGb: 10 })).rejects.toThrow("Disk 'data' already exists");

    expect(await listNames(alice, true)).toEqual(["data"]);
  });

  test("stays with the deleted disk at the limit of disks, but a rename may still take it", async () => {
    const { world, alice, aside } = await worldWithDeleted();
    await createDisk(alice, { name: "other", sizeGb: 10 });
    const directory = await readDirectory(world.ctx, alice.actor.uid);
    const fill = Array.from({ length: 498 }, (_, n) => [`disk${n}`, world.ctx.ids.uid()] as const);
    await writeRecord(world.ctx, { ...directory, names: [...directory.names, ...fill] });

    await expect(createDisk(alice, { name: "data", sizeGb: 10 })).rejects.toThrow("There can be at most 500 disks");
    const kept = await listNames(alice, true);
    await renameDisk(alice, "other", "data");

    expect(kept).toEqual(["data"]);
    expect(await listNames(alice, true)).toEqual([aside]);
  });

  test("goes to one of two concurrent creates", async () => {
    const { alice } = await worldWithDeleted();

    const made = await Promise.allSettled([1, 2].map(() => createDisk(alice, { name: "data", sizeGb: 10 })));

    expect(made.map(({ status }) => status).toSorted()).toEqual(["fulfilled", "rejected"]);
    expect([await listNames(alice, false), (await listNames(alice, true)).length]).toEqual([["data"], 1]);
  });
});

describe("an undelete of a disk whose name was reused", () => {
  test("is refused, and the refusal names the deleted disk", async () => {
    const { alice, aside } = await worldWithDeleted();
    await createDisk(alice, { name: "data", sizeGb: 10 });

    await expect(undeleteDisk(alice, "data")).rejects.toThrow(
      new RegExp(
        `^Disk 'data' is not marked for deletion\\. An earlier disk of that name is: undelete '${aside}' until 20.* UTC$`,
      ),
    );
  });

  test("restores it with its contents under its new name, and a rename can change that", async () => {
    const { world, alice, old, aside } = await worldWithDeleted();
    await createDisk(alice, { name: "data", sizeGb: 10 });

    const { operation } = await undeleteDisk(alice, aside);
    await world.advance(2000);
    await useOnce(world, "two", aside);
    await renameDisk(alice, aside, "first");

    const { disk } = await getDisk(alice, "first");
    expect(disk).toMatchObject({ uid: old.uid, phase: "available", volume: old.volume });
    expect(disk.snapshots[0]).toEqual(old.snapshots[0]);
    expect((await getOperation(alice, alice.actor.uid, aside, operation.id)).status).toBe("completed");
    await expect(undeleteDisk(alice, "data")).rejects.toThrow(/^Disk 'data' is not marked for deletion$/);
  });

  test("names the one that was deleted last if there are several", async () => {
    const { world, alice } = await worldWithDeleted();
    await createDisk(alice, { name: "data", sizeGb: 10 });
    const { disk } = await getDisk(alice, "data");
    await world.advance(DAY);
    await deleteDisk(alice, "data");
    await createDisk(alice, { name: "data", sizeGb: 10 });

    await expect(undeleteDisk(alice, "data")).rejects.toThrow(`undelete 'data-${disk.uid.slice(0, 8)}' until`);
  });
});

describe("a create and an undelete at once", () => {
  test("keep the name with the undeleted disk if the undelete was faster", async () => {
    const { world, alice, old } = await worldWithDeleted();
    const { putAll } = world.table;
    const late: typeof putAll = async (puts) => {
      Object.assign(world.table, { putAll });
      await undeleteDisk(alice, "data");
      await putAll(puts);
    };
    Object.assign(world.table, { putAll: late });

    await expect(createDisk(alice, { name: "data", sizeGb: 10 })).rejects.toThrow("Disk 'data' already exists");

    expect((await getDisk(alice, "data")).disk).toMatchObject({ uid: old.uid, phase: "available" });
  });

  test("refuse the undelete if the create was faster", async () => {
    const { world, alice, old, aside } = await worldWithDeleted();
    const { put } = world.table;
    const late: typeof put = async (item, condition) => {
      if (keyText(item) === keyText(old)) {
        Object.assign(world.table, { put });
        await createDisk(alice, { name: "data", sizeGb: 10 });
      }
      await put(item, condition);
    };
    Object.assign(world.table, { put: late });

    await expect(undeleteDisk(alice, "data")).rejects.toThrow("Disk 'data' is not the disk of the first request");

    expect(await listNames(alice, true)).toEqual([aside]);
  });
});

describe("a repeat of a create", () => {
  const ids = { id: "first", uid: "a".repeat(32) };

  test("does not change its disk after that was deleted and its name reused", async () => {
    const { world, alice } = await worldWithDeleted();
    await createDisk(alice, { name: "data", sizeGb: 10 }, ids);
    await useOnce(world, "two");
    await deleteDisk(alice, "data");
    await createDisk(alice, { name: "data", sizeGb: 10 });
    const before = await stored(world, (await getDisk(alice, "data-aaaaaaaa")).disk);

    await createDisk(alice, { name: "data", sizeGb: 10 }, ids);

    expect(await stored(world, before)).toEqual(before);
    expect(before).toMatchObject({ phase: "deleted", volume: { id: expect.any(String) } });
  });
});

test("a rebuilt directory leaves the name with the living disk, even if that is empty", async () => {
  const { world, alice, old, aside } = await worldWithDeleted();
  await createDisk(alice, { name: "data", sizeGb: 10 });
  await world.advance(2000);
  const { uid } = (await getDisk(alice, "data")).disk;
  // The deleted disk's record before its next reconcile.
  const before: Disk = { ...(await stored(world, old)), name: "data" };
  await world.table.put(before);
  const directory = await world.table.get(directoryKey(alice.actor.uid));
  await world.table.remove(directoryKey(alice.actor.uid), { ifWriter: directory?.writers[0] ?? "" });

  const { disk } = await getDisk(alice, "data");

  expect(disk.uid).toBe(uid);
  expect((await getDisk(alice, aside)).disk.uid).toBe(old.uid);
});

async function stored(world: MemoryWorld, { owner, uid }: Disk): Promise<Disk> {
  const disk = await findDisk(world.ctx, owner, uid);
  if (!disk) throw new Error("The record is missing");
  return disk;
}

/** A pending creation, which delays the disk's purge. */
function pending(world: MemoryWorld) {
  return { kind: "volume", token: "t", zone: "z", sizeGb: 10, from: null, at: world.clock.now() } as const;
}
