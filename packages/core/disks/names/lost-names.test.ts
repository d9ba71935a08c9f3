import { describe, expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { endRecord } from "../../admin/end-record.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { directoryKey, keyText } from "../../store/keys.ts";
import { FORMAT } from "../../store/unreadable.ts";
import { createDisk } from "../create.ts";
import { getOperation } from "../operations.ts";
import type { Disk } from "../record.ts";
import { deleteDisk } from "../requests.ts";
import { getDisk, listDisks } from "../view.ts";
import { renameDisk } from "./rename.ts";

const MINUTE = 60_000;

async function worldWithDisk(options: Parameters<typeof memoryWorld>[0] = {}) {
  const world = await memoryWorld(options);
  const alice = world.as("alice");
  await createEnvironment(alice, newEnvironment("one", { disk: "data" }));
  await world.advance(MINUTE);
  await requestCancel(alice, "one");
  await world.advance(MINUTE);
  return { world, alice, disk: (await getDisk(alice, "data")).disk };
}

async function lose(world: MemoryWorld, key: { pk: string; sk: string }): Promise<void> {
  const item = await world.table.get(key);
  await world.table.remove(key, { ifWriter: item?.writers[0] ?? "" });
}

const listNames = async (alice: ReturnType<MemoryWorld["as"]>) => (await listDisks(alice)).map(({ name }) => name);

describe("a missing directory of disks", () => {
  test("is rebuilt from the disks, with one log line", async () => {
    const log = recordingLog();
    const { world, alice, disk } = await worldWithDisk({ log });
    await renameDisk(alice, "data", "renamed");
    await createDisk(alice, { name: "new", sizeGb: 10 });
    await world.advance(MINUTE);
    await lose(world, directoryKey(alice.actor.uid));

    const names = await listNames(alice);
    await createEnvironment(alice, newEnvironment("two", { disk: "renamed" }));
    await world.advance(MINUTE);

    expect(names.toSorted()).toEqual(["new", "renamed"]);
    expect((await world.read("alice", "two")).disk?.uid).toBe(disk.uid);
    expect(log.lines.filter(({ event }) => event === "directory of disks made again")).toHaveLength(1);
  });

  test("is taken from a faster writer, without a log line", async () => {
    const log = recordingLog();
    const { world, alice } = await worldWithDisk({ log });
    const { get } = world.table;
    const key = keyText(directoryKey(alice.actor.uid));
    let reads = 0;
    const early: typeof get = async (input) => (keyText(input) === key && ++reads === 1 ? undefined : get(input));
    Object.assign(world.table, { get: early });

    const { name } = await getDisk(alice, "data");

    expect(name).toBe("data");
    expect(log.lines.filter(({ event }) => event === "directory of disks made again")).toEqual([]);
  });

  test("assigns a name of two records to the one with contents, and loses the contents of neither", async () => {
    const { world, alice, disk } = await worldWithDisk();
    const namesake = (n: number, fields: Partial<Disk>): Disk => {
      const uid = String(n).repeat(32);
      return { ...disk, sk: uid, uid, writers: [], createdAt: 1, heldBy: null, ...fields };
    };
    await world.table.put(namesake(1, { volume: null, snapshots: [] }));
    await world.table.put(namesake(2, { createdAt: world.clock.now() }));
    await world.table.put(namesake(3, { phase: "purged" }));
    await lose(world, directoryKey(alice.actor.uid));

    expect((await listNames(alice)).toSorted()).toEqual(["data", "data-22222222"]);
    expect((await getDisk(alice, "data")).disk.uid).toBe(disk.uid);
  });

  test("never assigns a living disk's name to an older disk in its purge, nor that disk another name", async () => {
    const { world, alice, disk } = await worldWithDisk();
    const uid = "1".repeat(32);
    const purging: Disk = { ...disk, sk: uid, uid, writers: [], createdAt: 1, phase: "purging", heldBy: null };
    await world.table.put(purging);
    await lose(world, directoryKey(alice.actor.uid));

    const { uid: named } = (await getDisk(alice, "data")).disk;

    const directory = await world.table.get(directoryKey(alice.actor.uid));
    expect(named).toBe(disk.uid);
    expect(directory?.names).toEqual([["data", disk.uid]]);
  });

  test("is rebuilt with disks of invalid records too, under the names in these", async () => {
    const { world, alice, disk } = await worldWithDisk();
    await createDisk(alice, { name: "new", sizeGb: 10 });
    await world.advance(MINUTE);
    await world.table.put({ ...disk, sizeGb: "many" } as never);
    await lose(world, directoryKey(alice.actor.uid));
    const before = await listNames(alice);

    await expect(createDisk(alice, { name: "data", sizeGb: 10 })).rejects.toThrow("already exists");
    await world.table.put({ ...disk, writers: ["hand"] });

    expect(before).toEqual(["new"]);
    expect((await getDisk(alice, "data")).disk.uid).toBe(disk.uid);
  });

  test.each([
    ["says no name", { name: 7, sizeGb: "many" }],
    ["is of a newer version", { format: FORMAT + 1, name: "data" }],
  ])("is not rebuilt while the record of a disk %s", async (_, fields) => {
    const { world, alice, disk } = await worldWithDisk();
    await world.table.put({ ...disk, ...fields } as never);
    await lose(world, directoryKey(alice.actor.uid));

    await expect(createDisk(alice, { name: "other", sizeGb: 10 })).rejects.toThrow("cannot be read");
    await world.table.put({ ...disk, writers: ["hand"] });

    expect(await listNames(alice)).toEqual(["data"]);
  });
});

describe("a name whose record is missing", () => {
  const said = "The record of disk 'data' is missing: delete the disk to free its name";

  test("is reported by every request, and free after a deletion", async () => {
    const { world, alice, disk } = await worldWithDisk();
    await lose(world, disk);
    const refusals = [
      () => getDisk(alice, "data"),
      () => createDisk(alice, { name: "data", sizeGb: 10 }),
      () => renameDisk(alice, "data", "other"),
      () => createEnvironment(alice, newEnvironment("two", { disk: "data" })),
    ];

    for (const refused of refusals) await expect(refused()).rejects.toThrow(said);
    const { operation } = await deleteDisk(alice, "data");
    const closed = await getOperation(alice, alice.actor.uid, "data", operation.id);
    await createEnvironment(alice, newEnvironment("three", { disk: "data" }));

    expect(closed.status).toBe("completed");
    expect((await getDisk(alice, "data")).disk.uid).not.toBe(disk.uid);
  });

  test("fails the job that waits for the disk, which says why", async () => {
    const { world, alice, disk } = await worldWithDisk({ nodes: newNodes({ h100: 1 }) });
    await createEnvironment(alice, newEnvironment("first"));
    await world.advance(MINUTE);
    await createEnvironment(alice, newEnvironment("two", { disk: "data" }));
    await world.advance(MINUTE);
    const waits = await world.read("alice", "two");
    await lose(world, disk);

    await world.advance(10 * MINUTE);

    const { phase, reason } = await world.read("alice", "two");
    expect(waits.phase).toBe("queued");
    expect([phase, reason]).toEqual(["failed", "Disk 'data' no longer exists"]);
  });

  test("can be freed by an operator too", async () => {
    const { world, alice, disk } = await worldWithDisk();
    await lose(world, disk);

    await endRecord(world.ctx, keyText(disk));

    expect(await listNames(alice)).toEqual([]);
    await createDisk(alice, { name: "data", sizeGb: 10 });
  });
});
