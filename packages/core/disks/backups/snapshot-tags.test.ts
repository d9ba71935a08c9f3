import { describe, expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { reconcile } from "../../reconciler/reconcile.ts";
import { keyText } from "../../store/keys.ts";
import { deleteDisk } from "../requests.ts";
import { getDisk } from "../view.ts";
import { mendSnapshotTags } from "./snapshot-tags.ts";

const HOUR = 3_600_000;

/** A world with a disk of each name, and one backup of each. */
async function backedUpWorld(...names: readonly string[]) {
  const log = recordingLog();
  const world = await memoryWorld({ log });
  for (const disk of names) {
    await createEnvironment(world.as("alice"), newEnvironment(disk, { disk }));
    await world.advance(2000);
    await requestCancel(world.as("alice"), disk);
    await world.advance(10_000);
  }
  await world.advance(HOUR);
  const logged = () => log.lines.filter(({ event }) => event === "snapshot tags wrong").map(({ fields }) => fields);
  return { ...world, logged };
}

async function disk(world: MemoryWorld, name: string) {
  return (await getDisk(world.as("alice"), name)).disk;
}

async function backupOf(world: MemoryWorld, name: string): Promise<string> {
  return (await disk(world, name)).snapshots[0]?.id ?? "";
}

test("nothing is requested or logged while all tags are correct", async () => {
  const world = await backedUpWorld("data", "other");
  const before = world.queue.sent();

  expect(await mendSnapshotTags(world.ctx)).toBe(0);

  expect(world.queue.sent()).toBe(before);
  expect(world.logged()).toEqual([]);
});

describe("changed tags are written again within seconds of the comparison", () => {
  const changes = [
    ["all of them are missing", (world: MemoryWorld, id: string) => world.volumes.stripTags(id)],
    ["the name is outdated", (world: MemoryWorld, id: string) => retag(world, id, { name: "old" })],
    ["the disk differs", (world: MemoryWorld, id: string) => retag(world, id, { disk: "d".repeat(32) })],
    ["the record differs", (world: MemoryWorld, id: string) => retag(world, id, { key: "owner#x#disk|y" })],
  ] as const;

  async function retag(world: MemoryWorld, id: string, change: object): Promise<void> {
    const { name = "", disk: uid = "", key } = (await world.volumes.findSnapshot(id))?.tags ?? {};
    await world.volumes.tagSnapshot(id, { name, disk: uid, key, ...change });
  }

  test.each(changes)("if %s", async (_, change) => {
    const world = await backedUpWorld("data", "other");
    const id = await backupOf(world, "data");
    const before = (await world.volumes.findSnapshot(id))?.tags;
    const { attempt: __, ...wanted } = before ?? {};
    await change(world, id);

    expect(await mendSnapshotTags(world.ctx)).toBe(1);
    await world.advance(5_000);

    expect((await world.volumes.findSnapshot(id))?.tags).toMatchObject(wanted);
    expect(world.logged()).toEqual([{ disks: 1, snapshots: 2 }]);
    expect(await mendSnapshotTags(world.ctx)).toBe(0);
  });

  test("if the disk is deleted and not purged yet", async () => {
    const world = await backedUpWorld("data");
    const id = await backupOf(world, "data");
    await deleteDisk(world.as("alice"), "data");
    await world.advance(HOUR);
    world.volumes.stripTags(id);

    await mendSnapshotTags(world.ctx);
    await world.advance(5_000);

    expect((await world.volumes.findSnapshot(id))?.tags.name).toBe("data");
  });
});

test("a snapshot that no listing shows yet, or that is gone, is left to its disk", async () => {
  const world = await backedUpWorld("data", "other");
  world.volumes.loseSnapshot(await backupOf(world, "other"));
  await reconcile(world.ctx, { look: keyText(await disk(world, "other")), hint: true });
  const listOwnedSnapshots = async () => ({ snapshots: [] });
  const late = { ...world.volumes, listedWithinMs: 2 * HOUR, listOwnedSnapshots };

  expect((await disk(world, "other")).snapshots[0]?.missedAt).toBeDefined();
  expect(await mendSnapshotTags({ ...world.ctx, volumes: late })).toBe(0);
  expect(await mendSnapshotTags({ ...world.ctx, volumes: { ...world.volumes, listOwnedSnapshots } })).toBe(1);
});

test("an invalid record blocks no other disk's tags", async () => {
  const world = await backedUpWorld("broken", "data");
  const broken = await disk(world, "broken");
  const id = await backupOf(world, "data");
  await world.table.put({ ...broken, snapshots: "none" } as never);
  world.volumes.stripTags(id);

  expect(await mendSnapshotTags(world.ctx)).toBe(1);
  await world.advance(5_000);

  expect((await world.volumes.findSnapshot(id))?.tags.name).toBe("data");
});

test("a repeated hint, or one for a disk with correct tags, writes nothing", async () => {
  const world = await backedUpWorld("data");
  const before = await disk(world, "data");

  for (let n = 0; n < 2; n++) await reconcile(world.ctx, { look: keyText(before), hint: true });

  expect(await disk(world, "data")).toEqual(before);
});
