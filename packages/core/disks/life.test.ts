import { describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { viewPool } from "#tests/worlds/pool-view.ts";
import { waitingFields } from "../environments/record/record.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import { Problem } from "../problem.ts";
import { requestReconcile } from "../reconciler/request-reconcile.ts";
import { diskKey, keyText, poolKey } from "../store/keys.ts";
import { createDisk } from "./create.ts";
import { renameDisk } from "./names/rename.ts";
import { getOperation } from "./operations.ts";
import type { Disk } from "./record.ts";
import { deleteDisk, undeleteDisk } from "./requests.ts";
import { getDisk, listDisks } from "./view.ts";

const DAY = 24 * 3_600_000;

async function refusal(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => "done",
    (error: unknown) => (error instanceof Problem ? `${error.kind}: ${error.message}` : String(error)),
  );
}

async function usedOnce(world: MemoryWorld, id: string, disk = "data"): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk }));
  await world.advance(2000);
  await requestCancel(world.as("alice"), id);
  await world.advance(10_000);
}

describe("a disk of an environment", () => {
  test("is created with it, held while it lives, backed up once at its end, and then free", async () => {
    const world = await memoryWorld();
    await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
    await world.advance(2000);
    expect(await getDisk(world.as("alice"), "data")).toMatchObject({ inUse: true, holder: "one", backingUp: false });

    await requestCancel(world.as("alice"), "one");
    await world.advance(10_000);

    const { disk, inUse, backingUp } = await getDisk(world.as("alice"), "data");
    expect({ inUse, backingUp }).toEqual({ inUse: false, backingUp: false });
    expect(disk.snapshots).toMatchObject([{ completed: true }]);
    expect(world.volumes.history().map((event) => event.kind)).toEqual(["created", "snapshot"]);
    expect((await world.read("alice", "one")).phase).toBe("cancelled");
  });

  test("keeps its volume: the next environment uses it and nothing is restored", async () => {
    const world = await memoryWorld();

    await usedOnce(world, "one");
    await usedOnce(world, "two");

    expect(world.volumes.history().map((event) => event.kind)).toEqual(["created", "snapshot", "snapshot"]);
  });

  test("releases its machine before the backup is complete", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), snapshotMs: 600_000 });
    await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
    world.clock.advance(1);
    await createEnvironment(world.as("bob"), newEnvironment("two"));
    await world.advance(2000);

    await requestCancel(world.as("alice"), "one");
    await world.advance(5000);

    expect((await world.read("bob", "two")).phase).toBe("active");
    expect(await getDisk(world.as("alice"), "data")).toMatchObject({ inUse: false, backingUp: true });
  });

  test("is refused to others while in use, and during its backup the next environment waits outside the queue", async () => {
    const world = await memoryWorld({ snapshotMs: 30_000 });
    await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
    await world.advance(2000);
    const inUse = await refusal(createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" })));
    await requestCancel(world.as("alice"), "one");

    await createEnvironment(world.as("alice"), newEnvironment("three", { disk: "data" }));
    await world.advance(10_000);
    const waits = await world.read("alice", "three");
    await world.advance(40_000);

    expect(inUse).toBe("conflict: Disk 'data' is currently in use by reservation one");
    expect(waits).toMatchObject({ phase: "queued", reason: "Waits until disk 'data' is backed up" });
    expect(waits).not.toHaveProperty("waitPool");
    expect((await world.read("alice", "three")).phase).toBe("active");
  });

  test("makes an environment leave the queue, and never take an earlier grant", async () => {
    const world = await memoryWorld({ snapshotMs: 30_000 });
    await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
    await world.advance(2000);
    await requestCancel(world.as("alice"), "one");
    await world.advance(2000);
    const two = await createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));
    await world.table.put({ ...two, ...waitingFields(two) });
    await requestReconcile(world.ctx, poolKey("h100"), { for: [keyText(two)] });

    await world.deliver();
    const outside = await world.read("alice", "two");
    await world.advance(60_000);

    expect(outside).toMatchObject({ phase: "queued", run: { n: 2 }, reason: "Waits until disk 'data' is backed up" });
    expect(await world.read("alice", "two")).toMatchObject({ phase: "active", run: { n: 2 } });
    expect(await viewPool(world.ctx, "h100")).toMatchObject({ granted: [], held: [{ uid: two.uid, run: 2 }] });
  });

  test("is free again without a backup if its environment was never created", async () => {
    const world = await memoryWorld({ nodes: [] });
    await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
    await world.advance(2000);

    await requestCancel(world.as("alice"), "one");
    await world.advance(5000);

    expect(await getDisk(world.as("alice"), "data")).toMatchObject({ inUse: false, backingUp: false });
    expect(world.volumes.history()).toEqual([]);
  });

  test("keeps its volume and is released after three failed backups, with a note", async () => {
    const world = await memoryWorld();
    await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
    await world.advance(2000);
    world.volumes.failSnapshotsLater(3);

    await requestCancel(world.as("alice"), "one");
    await world.advance(5 * 60_000);

    const {
      events: { timeline },
      phase,
    } = await world.read("alice", "one");
    expect(phase).toBe("cancelled");
    expect(timeline.map((entry) => entry.reason)).toContain(
      "Its disk could not be backed up in 3 attempts; the volume is kept",
    );
    const { disk, inUse } = await getDisk(world.as("alice"), "data");
    expect({ inUse, volume: disk.volume?.id }).toEqual({ inUse: false, volume: "vol-1" });
  });

  test("records that it was released without a backup, even if the worker died then", async () => {
    const world = await memoryWorld();
    await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
    await world.advance(2000);
    world.volumes.failSnapshotsLater(3);
    const { put } = world.table;
    let died = 0;
    let isLetGo = false;
    const dying: typeof put = async (item, options) => {
      if (isLetGo && died++ === 0) throw new Error("died");
      await put(item, options);
      isLetGo ||= (item as { kind?: string }).kind === "disk" && (item as unknown as Disk).heldBy === null;
    };
    Object.assign(world.table, { put: dying });

    await requestCancel(world.as("alice"), "one");
    await world.advance(5 * 60_000).catch(() => undefined);
    await world.advance(5 * 60_000);

    const { events, phase } = await world.read("alice", "one");
    expect({ died: died > 0, phase }).toEqual({ died: true, phase: "cancelled" });
    expect(events.timeline.map(({ reason }) => reason)).toContain(
      "Its disk could not be backed up in 3 attempts; the volume is kept",
    );
  });
});

describe("names", () => {
  test("a disk can be read while its create request is open", async () => {
    const world = await memoryWorld();

    const { id } = await createDisk(world.as("alice"), { name: "data", sizeGb: 10 });
    const before = await getOperation(world.ctx, world.as("alice").actor.uid, "data", id);
    await world.advance(2000);

    const after = await getOperation(world.ctx, world.as("alice").actor.uid, "data", id);
    expect([before.status, after.status]).toEqual(["pending", "completed"]);
    expect((await listDisks(world.as("alice"))).map((view) => view.name)).toEqual(["data"]);
  });

  test("twenty concurrent creates with one name make one disk", async () => {
    const world = await memoryWorld();
    const all = Array.from({ length: 20 }, () => createDisk(world.as("alice"), { name: "data", sizeGb: 10 }));

    const results = await Promise.allSettled(all);
    await world.advance(2000);

    expect(results.filter((result) => result.status === "fulfilled")).toHaveLength(1);
    expect(await listDisks(world.as("alice"))).toHaveLength(1);
  });

  test("two renames to one name: one wins, the other is refused, both disks keep a name", async () => {
    const world = await memoryWorld();
    await createDisk(world.as("alice"), { name: "a", sizeGb: 10 });
    await createDisk(world.as("alice"), { name: "b", sizeGb: 10 });
    await world.advance(2000);

    const both = [renameDisk(world.as("alice"), "a", "c"), renameDisk(world.as("alice"), "b", "c")];
    const results = await Promise.all(both.map(refusal));

    expect(results.sort()).toEqual(["conflict: Disk 'c' already exists", "done"]);
    expect(await listDisks(world.as("alice"))).toHaveLength(2);
  });

  test("a rename tags every backup; one that cannot be tagged is named and repaired later", async () => {
    const world = await memoryWorld();
    for (const id of ["one", "two", "three"]) await usedOnce(world, id);
    const [first] = world.volumes.snapshotIds();
    world.volumes.refuseTags(first ?? "", "Access denied");

    const renamed = await renameDisk(world.as("alice"), "data", "new");
    world.volumes.refuseTags(first ?? "", undefined);
    await world.advance(11 * 60_000);

    expect(renamed).toEqual({ snapshots: 3, updated: 2, errors: [`${first}: Access denied`] });
    const tags = await Promise.all(
      world.volumes.snapshotIds().map(async (id) => (await world.volumes.findSnapshot(id))?.tags.name),
    );
    expect(tags).toEqual(["new", "new", "new"]);
    expect(await refusal(getDisk(world.as("alice"), "data"))).toBe("notFound: Disk 'data' not found");
  });

  test("removed tags are restored within a day", async () => {
    const world = await memoryWorld();
    await usedOnce(world, "one");
    const [id] = world.volumes.snapshotIds();
    world.volumes.stripTags(id ?? "");

    await world.advance(DAY + 60_000);

    expect((await world.volumes.findSnapshot(id ?? ""))?.tags).toMatchObject({ name: "data" });
  });

  test("a snapshot with tags of an older version gets the record of its disk within a day", async () => {
    const world = await memoryWorld();
    await usedOnce(world, "one");
    const [id] = world.volumes.snapshotIds();
    const { key, disk = "" } = (await world.volumes.findSnapshot(id ?? ""))?.tags ?? {};
    world.volumes.stripTags(id ?? "");
    await world.volumes.tagSnapshot(id ?? "", { name: "data", disk });

    await world.advance(DAY + 60_000);

    const { owner, uid } = (await getDisk(world.as("alice"), "data")).disk;
    expect((await world.volumes.listOwnedSnapshots()).snapshots).toEqual([
      { id, key: keyText(diskKey(owner, uid)), tags: expect.objectContaining({ name: "data" }) },
    ]);
    expect(key).toBe(keyText(diskKey(owner, uid)));
  });

  test("another owner's disk is not found, and names of object properties are ordinary names", async () => {
    const world = await memoryWorld();
    await createDisk(world.as("alice"), { name: "data", sizeGb: 10 });

    expect(await refusal(getDisk(world.as("bob"), "data"))).toBe("notFound: Disk 'data' not found");
    for (const name of ["constructor", "__proto__", "toString"]) {
      expect(await refusal(getDisk(world.as("alice"), name)), name).toBe(`notFound: Disk '${name}' not found`);
      await createDisk(world.as("alice"), { name, sizeGb: 10 });
      expect((await getDisk(world.as("alice"), name)).name).toBe(name);
    }
  });
});

describe("deletion", () => {
  test("can be undone until the purge, which frees the name", async () => {
    const world = await memoryWorld();
    await usedOnce(world, "one");

    const { disk } = await deleteDisk(world.as("alice"), "data");
    const again = await refusal(deleteDisk(world.as("alice"), "data"));
    const submit = await refusal(createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" })));
    await world.advance(29 * DAY);
    const still = (await getDisk(world.as("alice"), "data")).disk.phase;
    await world.advance(2 * DAY);

    expect(disk?.purgeAt).toBe((disk?.deletedAt ?? 0) + 30 * DAY);
    expect(again).toBe("gone: Disk 'data' is already marked for deletion");
    expect(submit).toBe("gone: Disk 'data' is marked for deletion");
    expect(still).toBe("deleted");
    expect(await refusal(getDisk(world.as("alice"), "data"))).toBe("notFound: Disk 'data' not found");
    expect([world.volumes.volumeIds(), world.volumes.snapshotIds()]).toEqual([[], []]);
    expect(await refusal(createDisk(world.as("alice"), { name: "data", sizeGb: 10 }))).toBe("done");
  });

  test("keeps everything after an undelete", async () => {
    const world = await memoryWorld();
    await usedOnce(world, "one");
    await deleteDisk(world.as("alice"), "data");
    await world.advance(DAY);

    await undeleteDisk(world.as("alice"), "data");
    await world.advance(31 * DAY);

    expect((await getDisk(world.as("alice"), "data")).disk).toMatchObject({ phase: "available", purgeAt: null });
    expect(world.volumes.volumeIds()).toHaveLength(1);
  });

  test("in a restored record from before the undelete purges nothing while orphans are kept", async () => {
    const world = await memoryWorld({ settings: { orphansDryRun: true } });
    await usedOnce(world, "one");
    await deleteDisk(world.as("alice"), "data");
    const { disk: restored } = await getDisk(world.as("alice"), "data");
    await undeleteDisk(world.as("alice"), "data");
    await world.advance(29 * DAY);
    const { writers } = (await getDisk(world.as("alice"), "data")).disk;
    await world.table.put({ ...restored, writers: ["restored", ...writers.slice(0, 7)] });
    await world.advance(2 * DAY);

    const { disk: kept } = await getDisk(world.as("alice"), "data");
    const left = [world.volumes.volumeIds(), world.volumes.snapshotIds()];
    await undeleteDisk(world.as("alice"), "data");
    await world.advance(DAY);

    expect(kept).toMatchObject({ phase: "deleted", fault: "It is not purged while ORPHANS_DRY_RUN is set" });
    expect(left).toEqual([[expect.any(String)], [expect.any(String)]]);
    expect((await getDisk(world.as("alice"), "data")).disk).toMatchObject({ phase: "available", fault: null });
    expect([world.volumes.volumeIds(), world.volumes.snapshotIds()]).toEqual(left);
  });

  test("of a disk in use is refused", async () => {
    const world = await memoryWorld();
    await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
    await world.advance(2000);

    expect(await refusal(deleteDisk(world.as("alice"), "data"))).toBe(
      "conflict: Cannot delete disk 'data' - it is currently in use by reservation one",
    );
    expect(await refusal(renameDisk(world.as("alice"), "data", "x"))).toBe(
      "conflict: Cannot rename disk 'data' - it is currently in use by reservation one",
    );
  });
});
