import { describe, expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment, newNodes } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../environments/verbs/actions.ts";
import { createEnvironment } from "../environments/verbs/create.ts";
import type { Item } from "../ports/table.ts";
import { StepTooOld } from "../reconciler/budget.ts";
import { directoryKey } from "../store/keys.ts";
import { createDisk } from "./create.ts";
import { readDirectory } from "./names/directory.ts";
import { parseDisk } from "./parse.ts";
import type { Disk } from "./record.ts";
import { deleteDisk } from "./requests.ts";
import { stepDisk } from "./step.ts";
import { getDisk } from "./view.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const IN_USE = "InvalidSnapshot.InUse: in use by ami-1";

function computeDisk(world: MemoryWorld): Disk {
  return parseDisk(world.table.all().find(({ kind }) => kind === "disk") as Item);
}

/** Runs jobs with the disk `data` one after another and returns their outcomes. */
async function use(world: MemoryWorld, ids: readonly string[]): Promise<string[]> {
  const phases: string[] = [];
  for (const id of ids) {
    await createEnvironment(world.as("alice"), newEnvironment(id, { disk: "data" }));
    await world.advance(5 * MINUTE);
    phases.push((await world.read("alice", id)).phase);
    await requestCancel(world.as("alice"), id);
    await world.advance(5 * MINUTE);
  }
  return phases;
}

/** Limit of refusals, so that a loop of retries without a pause ends and fails its test. */
const MOST_REFUSALS = 2000;

/** Refuses the removal of this snapshot, like EC2 for one that an AMI uses. Returns a function that allows it. */
function lock(world: MemoryWorld, locked: string | undefined, why = new Error(IN_USE)): () => void {
  const { removeSnapshot } = world.volumes;
  let left = MOST_REFUSALS;
  const refusing: typeof removeSnapshot = async (id) => {
    if (id === locked && left-- > 0) throw why;
    await removeSnapshot(id);
  };
  Object.assign(world.volumes, { removeSnapshot: refusing });
  return () => void Object.assign(world.volumes, { removeSnapshot });
}

describe("a backup that cannot be removed", () => {
  test("blocks neither a job that waits for its disk nor the thinning of other backups", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), snapshotMs: MINUTE / 2 });
    await use(world, ["one"]);
    const [oldest] = world.volumes.snapshotIds();
    lock(world, oldest);

    const phases = await use(world, ["two", "three", "four", "five", "six"]);

    expect(phases).toEqual(["active", "active", "active", "active", "active"]);
    expect(computeDisk(world).snapshots.map(({ id }) => id)).toEqual(world.volumes.snapshotIds());
    expect(computeDisk(world).snapshots).toMatchObject([
      { id: oldest, unremoved: { why: IN_USE } },
      { completed: true },
      { completed: true },
      { completed: true },
    ]);
  });

  test("is named in the disk's record, raises an alarm after a quarter of an hour, and is removed once possible", async () => {
    const log = recordingLog();
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), log });
    await use(world, ["one", "two", "three"]);
    const [oldest] = world.volumes.snapshotIds();
    const unlock = lock(world, oldest);
    const alarms = () => log.lines.filter(({ level, event }) => level === "error" && event === "snapshot not removed");

    await use(world, ["four"]);
    const early = alarms().length;
    await world.advance(24 * HOUR);
    const { fault } = computeDisk(world);
    const inOneDay = alarms().length;
    unlock();
    await world.advance(2 * HOUR);

    expect(fault).toBe(`Its snapshot ${oldest} cannot be removed: ${IN_USE}`);
    expect(early).toBe(0);
    expect(inOneDay).toBeGreaterThan(20);
    expect(inOneDay).toBeLessThan(30);
    expect(computeDisk(world)).toMatchObject({ fault: null, snapshots: [{}, {}, {}] });
    expect(world.volumes.snapshotIds()).not.toContain(oldest);
  });

  test("is retried after seconds and not at once if no worker removes it in time", async () => {
    const log = recordingLog();
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), log });
    await use(world, ["one", "two", "three"]);
    const [oldest] = world.volumes.snapshotIds();
    const unlock = lock(world, oldest, new StepTooOld());

    await use(world, ["four"]);
    const tries = log.lines.filter(({ event }) => event === "act failed").length;
    unlock();
    await world.advance(MINUTE);

    expect(tries).toBeGreaterThan(10);
    expect(tries).toBeLessThan(100);
    expect(world.volumes.snapshotIds()).not.toContain(oldest);
  });

  test("is repeated at once if it failed, and is then removed as soon as possible", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), snapshotMs: MINUTE / 2 });
    await use(world, ["one"]);
    world.volumes.failSnapshotsLater(1);
    await createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));
    await world.advance(MINUTE);
    await requestCancel(world.as("alice"), "two");
    await world.advance(MINUTE / 4);
    const failed = world.volumes.snapshotIds().at(-1);
    const unlock = lock(world, failed);

    await world.advance(5 * MINUTE);
    const made = computeDisk(world);
    const phases = await use(world, ["three"]);
    unlock();
    await world.advance(2 * HOUR);

    expect(made.snapshots).toMatchObject([{ completed: true }, { id: failed, completed: false }, { completed: true }]);
    expect(made.lost).toBeUndefined();
    expect(phases).toEqual(["active"]);
    expect(world.volumes.snapshotIds()).not.toContain(failed);
    expect(computeDisk(world)).toMatchObject({ fault: null, snapshots: [{}, {}, {}] });
    expect(computeDisk(world).lost).toBeUndefined();
  });
});

describe("a backup with a failed removal that is one of the newest three again", () => {
  test("is kept, and its disk is checked no more often than others", async () => {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }) });
    await use(world, ["one"]);
    const [oldest] = world.volumes.snapshotIds();
    lock(world, oldest);
    await use(world, ["two", "three", "four"]);
    const before = computeDisk(world).snapshots[0];
    const listPolls = limitPasses(world, 200);

    world.volumes.loseSnapshot(world.volumes.snapshotIds().at(-1) ?? "");
    await world.advance(3 * HOUR);

    expect(before).toMatchObject({ id: oldest, unremoved: { why: IN_USE } });
    expect(listPolls()).toBeLessThan(200);
    expect(computeDisk(world).snapshots[0]).toMatchObject({ id: oldest, completed: true });
    expect(computeDisk(world).snapshots[0]?.unremoved).toBeUndefined();
    expect(computeDisk(world).fault).toBeNull();
  });
});

/** Counts snapshot requests; from this many on, the call fails, which delays the next reconcile. */
function limitPasses(world: MemoryWorld, most: number): () => number {
  const { findSnapshot } = world.volumes;
  let input = 0;
  const limited: typeof findSnapshot = async (id) => {
    input += 1;
    if (input >= most) throw new Error("RequestLimitExceeded");
    return findSnapshot(id);
  };
  Object.assign(world.volumes, { findSnapshot: limited });
  return () => input;
}

/** Job `one` left a failed snapshot that cannot be removed, and a new complete one. */
async function worldWithFailed(): Promise<MemoryWorld> {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), snapshotMs: MINUTE / 2 });
  world.volumes.failSnapshotsLater(1);
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(MINUTE);
  await requestCancel(world.as("alice"), "one");
  await world.advance(MINUTE / 4);
  lock(world, world.volumes.snapshotIds().at(-1));
  await world.advance(5 * MINUTE);
  return world;
}

describe("a removal that is refused again", () => {
  test("keeps the warning that the latest backup could not be made", async () => {
    const world = await worldWithFailed();
    const before = computeDisk(world).snapshots;
    world.volumes.failSnapshotsLater(3, 0);
    await use(world, ["two"]);
    const warned = computeDisk(world).fault;

    await world.advance(3 * HOUR);

    expect(before).toMatchObject([{ unremoved: { why: IN_USE } }, { completed: true }]);
    expect(computeDisk(world).snapshots[0]?.unremoved?.tries).toBeGreaterThan(before[0]?.unremoved?.tries ?? 0);
    expect(warned).toBe("Its latest backup could not be made; the volume is kept");
    expect(computeDisk(world).fault).toBe(warned);
  });

  test("lets a newer failed backup be repeated", async () => {
    const world = await worldWithFailed();
    world.volumes.failSnapshotsLater(1);
    await createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));
    await world.advance(MINUTE);
    await requestCancel(world.as("alice"), "two");
    await world.advance(MINUTE / 4);
    const endedAt = world.clock.now();
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    await world.advance(90 * MINUTE);
    const { lost } = computeDisk(world);

    world.volumes.failSnapshots(0);
    await world.advance(10 * MINUTE);

    expect(lost).toMatchObject({ gaveUp: null, refused: "Snapshot limit exceeded" });
    expect(computeDisk(world).snapshots.at(-1)).toMatchObject({ completed: true });
    expect(computeDisk(world).snapshots.at(-1)?.at).toBeGreaterThan(endedAt);
    expect(computeDisk(world).lost).toBeUndefined();
  });
});

test("a disk's record names the newest forty backups that cannot be removed or are gone, and the log names older ones", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), log });
  await use(world, ["one"]);
  Object.assign(world.volumes, { removeSnapshot: () => Promise.reject(new Error("UnauthorizedOperation")) });
  const { snapshots, ...disk } = computeDisk(world);
  const unremoved = { why: "UnauthorizedOperation", tries: 1, at: 1 };
  const left = Array.from({ length: 50 }, (_, n) =>
    n % 2 === 0
      ? { id: `failed-${n}`, at: n, completed: false, failed: true, unremoved }
      : { id: `gone-${n}`, at: n, completed: true, missedAt: 1 },
  );
  await world.table.put({ ...disk, snapshots: [...left, ...snapshots], dueAt: world.clock.now() } as Item);

  await world.advance(2 * HOUR);

  const ids = computeDisk(world).snapshots.map(({ id }) => id);
  const forgotten = log.lines
    .filter(({ event }) => event === "snapshot forgotten")
    .map(({ fields }) => fields.snapshot);
  expect(ids).toEqual([...left.slice(10).map(({ id }) => id), snapshots[0]?.id]);
  expect(forgotten).toEqual(left.slice(0, 10).map(({ id }) => id));
});

describe("a snapshot of a deleted disk that cannot be removed", () => {
  test("does not block the rest of the purge, frees the disk's name, and raises an alarm", async () => {
    const log = recordingLog();
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { diskRetentionDays: 0 }, log });
    const alice = world.as("alice");
    await use(world, ["one", "two"]);
    const [locked] = world.volumes.snapshotIds();
    const unlock = lock(world, locked);

    await deleteDisk(alice, "data");
    await world.advance(24 * HOUR);
    const left = [world.volumes.volumeIds(), world.volumes.snapshotIds()];
    const { uid, owner, ...stuck } = computeDisk(world);
    const { names } = await readDirectory(alice, owner);
    const made = await createDisk(alice, { name: "data", sizeGb: 10 });
    unlock();
    await world.advance(2 * HOUR);

    expect(left).toEqual([[], [locked]]);
    expect(names).toEqual([]);
    expect(stuck).toMatchObject({ phase: "purging", fault: `Cannot be purged: ${locked}: ${IN_USE}` });
    expect(made.name).toBe("data");
    expect(await getDisk(alice, "data")).toMatchObject({ name: "data", disk: { snapshots: [], phase: "available" } });
    const alarms = log.lines.filter(({ level, event }) => level === "error" && event === "disk not purged");
    expect(alarms.length).toBeGreaterThan(20);
    expect(alarms.length).toBeLessThan(30);
    expect(alarms.at(-1)?.fields).toMatchObject({ disk: uid, left: [`${locked}: ${IN_USE}`] });
    expect(world.volumes.snapshotIds()).toEqual([]);
    expect(world.table.all().find((item) => item.uid === uid)).toMatchObject({ phase: "purged", fault: null });
  });
});

describe("a purge", () => {
  async function heldAndDeleted() {
    const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { diskRetentionDays: 0 } });
    await createEnvironment(world.as("alice"), newEnvironment("holds", { disk: "data" }));
    await world.advance(MINUTE);
    const now = world.clock.now();
    const disk: Disk = { ...computeDisk(world), operations: [], phase: "deleted", deletedAt: now, purgeAt: now };
    const holder = await world.read("alice", "holds");
    const ending = { ...holder, end: { ...holder.end, outcome: { phase: "cancelled", reason: "", at: now } } };
    return { world, now, disk, holder, ending };
  }

  test("does not begin while the job that has the disk lives, is ending or has an invalid record", async () => {
    const { world, now, disk, holder, ending } = await heldAndDeleted();

    for (const record of [holder, ending, { ...holder, phase: "no phase" }]) {
      await world.table.put(record as Item);
      const { record: next, log } = await stepDisk(world.ctx, disk as unknown as Item, now);
      expect([next.phase, log]).toEqual(["deleted", "is still held"]);
      expect(next.dueAt).toBeGreaterThan(now);
    }
    expect(world.volumes.volumeIds()).toHaveLength(1);
  });

  test("begins when due, once the job that had the disk has ended or its id belongs to a newer one", async () => {
    const { world, now, disk } = await heldAndDeleted();
    const phaseAt = async (at: number, of = disk) =>
      (await stepDisk(world.ctx, of as unknown as Item, at)).record.phase;
    const earlierLife = disk.heldBy && { ...disk.heldBy, uid: world.ctx.ids.uid() };

    const another = await phaseAt(now, { ...disk, heldBy: earlierLife });
    await requestCancel(world.as("alice"), "holds");
    await world.advance(5 * MINUTE);
    const ended = [await phaseAt(now - 1), await phaseAt(now)];

    expect(another).toBe("purging");
    expect(ended).toEqual(["deleted", "purging"]);
  });
});

test("a deleted disk's volume and backups are removed although its owner's directory is invalid, with a note", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { diskRetentionDays: 0 } });
  const alice = world.as("alice");
  await use(world, ["one"]);
  await deleteDisk(alice, "data");
  const directory = await world.table.get(directoryKey(alice.actor.uid));
  await world.table.put({ ...directory, names: { data: 1 } } as never);

  await world.advance(HOUR);

  expect([world.volumes.volumeIds(), world.volumes.snapshotIds()]).toEqual([[], []]);
  expect(computeDisk(world)).toMatchObject({ phase: "purging", fault: expect.stringContaining("its name: ") });
});

test("backups that a deleted disk's record no longer names are removed, even those of a lost volume", async () => {
  const world = await memoryWorld({ nodes: newNodes({ h100: 1 }), settings: { diskRetentionDays: 0 } });
  await use(world, ["one"]);
  await world.advance(HOUR);
  world.volumes.loseVolume(computeDisk(world).volume?.id ?? "");
  await createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));
  await world.advance(15 * MINUTE);
  await requestCancel(world.as("alice"), "two");
  await world.advance(HOUR);
  const disk = computeDisk(world);
  await world.table.put({ ...disk, snapshots: [] } as Disk);
  const before = world.volumes.snapshotIds().length;

  await deleteDisk(world.as("alice"), "data");
  await world.advance(HOUR);

  expect([disk.supersededVolumes?.length, before]).toEqual([1, 2]);
  expect([world.volumes.volumeIds(), world.volumes.snapshotIds()]).toEqual([[], []]);
});
