import { beforeEach, describe, expect, test } from "vitest";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { Item } from "../../ports/table.ts";
import type { Disk } from "../record.ts";
import { deleteDisk } from "../requests.ts";
import { getDisk } from "../view.ts";
import { restoreDisk } from "./from-snapshot.ts";

const MINUTE = 60_000;
/** A volume counts as gone after this: ten minutes and the next check. */
const GONE = 11 * MINUTE;
/** Retention of a deleted disk. */
const RETENTION = 30 * MINUTE;
let world: MemoryWorld;
/** The backup of the disk `data`, before a newer one. */
let source: string;

async function begin(id: string, disk: string): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk }));
  await world.advance(2_000);
  const { volume } = await computeDisk(disk);
  if (volume && id !== "reader") world.volumes.write(volume.id, id);
}

async function use(id: string, disk = "data"): Promise<void> {
  await begin(id, disk);
  await requestCancel(world.as("alice"), id);
  await world.advance(10_000);
}

async function computeDisk(name: string): Promise<Disk> {
  return (await getDisk(world.as("alice"), name)).disk;
}

function restore(uid = world.ctx.ids.uid()) {
  const wanted = { snapshotId: source, newName: "before" };
  return restoreDisk(world.as("alice"), "data", wanted, { id: world.ctx.ids.uuid4(), uid });
}

beforeEach(async () => {
  world = await memoryWorld({ settings: { diskRetentionDays: RETENTION / (24 * 60 * MINUTE) } });
  for (const id of ["first", "second"]) await use(id);
  source = (await computeDisk("data")).snapshots[0]?.id ?? "";
});

describe("a disk whose snapshot is lost before it has a volume", () => {
  test("is lost with a reason, which its job fails with, and still claims the snapshot in case it is seen again", async () => {
    await restore();
    world.volumes.loseSnapshot(source);

    await begin("reader", "before");
    const waits = (await world.read("alice", "reader")).reason;
    await world.advance(GONE);
    const { phase, end } = await world.read("alice", "reader");
    const { fault, volume } = await computeDisk("before");
    await use("third");

    expect(waits).toBe("The snapshot that disk 'before' starts from is missing; searching for it");
    expect([phase, end.outcome?.reason]).toEqual([
      "failed",
      "Disk 'before' is lost: the snapshot that it starts from is gone; delete or rename it",
    ]);
    expect([fault, volume]).toEqual(["The snapshot that it starts from is gone", null]);
    expect(world.volumes.volumeIds()).toHaveLength(1);
    expect((await computeDisk("data")).restores).toMatchObject([{ snapshot: source }]);
  });

  test("is restored when the snapshot is seen again, however many backups were made in between", async () => {
    await restore();
    world.volumes.hideSnapshot(source, 20 * MINUTE);
    await begin("reader", "before");
    await world.advance(GONE);
    const { lostAt } = await computeDisk("before");
    for (const id of ["third", "fourth"]) await use(id);
    await world.advance(10 * MINUTE);
    for (const id of ["fifth", "sixth"]) await use(id);

    await begin("reader-2", "before");

    expect(lostAt).toEqual(expect.any(Number));
    const { volume } = await computeDisk("before");
    expect(world.volumes.findContent(volume?.id ?? "")?.from).toBe(source);
  });

  test("is no longer lost after the snapshot is seen again, even if its volume is refused then", async () => {
    await restore();
    const lost = { ...(await computeDisk("before")), lostAt: world.clock.now(), dueAt: world.clock.now() };
    await world.table.put(lost);

    await world.advance(2 * MINUTE);

    const { lostAt, fault } = await computeDisk("before");
    expect([lostAt, fault]).toEqual([undefined, null]);
  });

  test("is no longer lost once the snapshot is seen again, even without a job", async () => {
    await restore();
    const { findSnapshot } = world.volumes;
    Object.assign(world.volumes, { findSnapshot: async () => undefined });
    await begin("reader", "before");
    await world.advance(GONE);
    const lost = await computeDisk("before");
    Object.assign(world.volumes, { findSnapshot });
    await world.advance(60 * MINUTE);
    const found = await computeDisk("before");
    await begin("reader-2", "before");

    expect(lost.lostAt).toEqual(expect.any(Number));
    expect([found.lostAt, found.source, found.fault]).toEqual([
      undefined,
      expect.not.objectContaining({ missedAt: expect.any(Number) }),
      null,
    ]);
    expect((await computeDisk("before")).restored?.by).toBe((await world.read("alice", "reader-2")).uid);
  });

  test("no longer delays the purge of that snapshot's disk, although it was never used", async () => {
    await restore();
    await deleteDisk(world.as("alice"), "data");
    world.volumes.loseSnapshot(source);

    await world.advance(RETENTION + 2 * 60 * MINUTE);

    await expect(computeDisk("data")).rejects.toThrow("Disk 'data' not found");
    expect((await computeDisk("before")).phase).toBe("available");
  });
});

describe("a restore whose request died before its disk had a name", () => {
  beforeEach(() => {
    const { put } = world.table;
    const dying: typeof put = async (item, options) => {
      if ((item as Item).kind === "directory") throw new Error("died");
      await put(item, options);
    };
    Object.assign(world.table, { put: dying });
    revive = () => void Object.assign(world.table, { put });
  });
  let revive: () => void;

  test("keeps the snapshot for a quarter of an hour, and no longer", async () => {
    await expect(restore()).rejects.toThrow("died");
    revive();
    await use("third");
    const [noted] = (await computeDisk("data")).restores ?? [];

    await world.advance(16 * MINUTE);
    for (const id of ["fourth", "fifth"]) await use(id);

    expect(noted?.snapshot).toBe(source);
    expect((await computeDisk("data")).restores).toBeUndefined();
    expect(world.volumes.snapshotIds()).not.toContain(source);
  });

  test("keeps the snapshot for as long again if the request is repeated, which then names the disk", async () => {
    const uid = world.ctx.ids.uid();
    await expect(restore(uid)).rejects.toThrow("died");
    await world.advance(14 * MINUTE);
    await expect(restore(uid)).rejects.toThrow("died");
    await world.advance(14 * MINUTE);
    for (const id of ["third", "fourth", "fifth"]) await use(id);
    revive();

    await restore(uid);
    await begin("reader", "before");

    const { volume } = await computeDisk("before");
    expect(world.volumes.findContent(volume?.id ?? "")?.content).toBe("first");
  });
});
