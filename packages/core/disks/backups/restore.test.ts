import { describe, expect, test } from "vitest";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import { reconcile } from "../../reconciler/reconcile.ts";
import { keyText } from "../../store/keys.ts";
import { type Disk, seenBackups } from "../record.ts";
import { getDisk } from "../view.ts";

const MINUTE = 60_000;
/** A volume counts as gone after this: ten minutes and the next check. */
const GONE = 11 * MINUTE;
/** Time after which no search for an earlier creation is left. */
const LISTED = 15 * MINUTE;

async function submit(world: MemoryWorld, id: string): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk: "data" }));
  await world.advance(2000);
}

async function cancel(world: MemoryWorld, id: string): Promise<void> {
  await requestCancel(world.as("alice"), id);
  await world.advance(10_000);
}

async function computeDisk(world: MemoryWorld): Promise<Disk> {
  return (await getDisk(world.as("alice"), "data")).disk;
}

async function getVolume(world: MemoryWorld): Promise<string> {
  return (await computeDisk(world)).volume?.id ?? "";
}

async function use(world: MemoryWorld, id: string): Promise<void> {
  await submit(world, id);
  world.volumes.write(await getVolume(world), id);
  await cancel(world, id);
}

async function loseVolume(world: MemoryWorld): Promise<void> {
  world.volumes.loseVolume(await getVolume(world));
}

async function listReasons(world: MemoryWorld, id: string): Promise<(string | null)[]> {
  return (await world.read("alice", id)).events.timeline.map(({ reason }) => reason);
}

async function contentNow(world: MemoryWorld): Promise<unknown> {
  return world.volumes.findContent(await getVolume(world));
}

async function listBackups(world: MemoryWorld): Promise<{ id: string; at: number }[]> {
  return (await computeDisk(world)).snapshots.map(({ id, at }) => ({ id, at }));
}

/** Three jobs have used the disk, and its volume is old enough to count as gone when missing. */
async function worldOfThree(options: Parameters<typeof memoryWorld>[0] = {}): Promise<MemoryWorld> {
  const world = await memoryWorld(options);
  for (const id of ["one", "two", "three"]) await use(world, id);
  await world.advance(LISTED);
  return world;
}

describe("a disk without its volume", () => {
  test("is restored from the backup of its last job, although the volume was lost before that was recorded", async () => {
    const world = await worldOfThree();
    const { createSnapshot } = world.volumes;
    const lossy: typeof createSnapshot = async (volume, tags) => {
      await createSnapshot(volume, tags);
      world.volumes.loseVolume(volume);
      throw new Error("timed out");
    };
    await submit(world, "four");
    world.volumes.write(await getVolume(world), "four");
    Object.assign(world.volumes, { createSnapshot: lossy });
    await cancel(world, "four");
    await world.advance(GONE);
    const newest = world.volumes.snapshotIds().at(-1);
    const backedUp = (await listBackups(world)).at(-1)?.id;

    await submit(world, "five");
    await world.advance(GONE);

    expect(backedUp).toBe(newest);
    expect(await contentNow(world)).toEqual({ content: "four", from: newest });
    expect((await world.read("alice", "four")).phase).toBe("cancelled");
  });

  test("is restored from its newest backup, whose time the timeline shows", async () => {
    const world = await worldOfThree();
    const newest = (await listBackups(world)).at(-1);
    await loseVolume(world);

    await submit(world, "four");
    await world.advance(GONE);

    expect(await contentNow(world)).toEqual({ content: "three", from: newest?.id });
    expect((await world.read("alice", "four")).phase).toBe("active");
    expect(await listReasons(world, "four")).toContain("Disk 'data' restored from its backup of 2026-01-20 18:00 UTC");
  });

  test("is restored from its newest backup although one check misses it", async () => {
    const world = await worldOfThree();
    const newest = (await listBackups(world)).at(-1)?.id;
    await loseVolume(world);
    const { findSnapshot } = world.volumes;
    const from = world.clock.now() + 9 * MINUTE;
    const blink: typeof findSnapshot = async (id) => {
      const isAway = world.clock.now() >= from && world.clock.now() < from + 3 * MINUTE;
      return id === newest && isAway ? undefined : findSnapshot(id);
    };
    Object.assign(world.volumes, { findSnapshot: blink });

    await submit(world, "four");
    await world.advance(GONE + 3 * MINUTE);

    expect(await contentNow(world)).toEqual({ content: "three", from: newest });
    expect((await computeDisk(world)).snapshots.map(({ missedAt }) => missedAt)).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test("is restored from the newest completed backup if the newest failed", async () => {
    const world = await memoryWorld({ snapshotMs: MINUTE });
    for (const id of ["one", "two"]) {
      await use(world, id);
      await world.advance(2 * MINUTE);
    }
    const second = (await listBackups(world)).at(-1);
    await world.advance(LISTED);
    world.volumes.failSnapshotsLater(1);
    await use(world, "three");
    await loseVolume(world);

    await submit(world, "four");
    await world.advance(GONE + 3 * MINUTE);

    expect(await contentNow(world)).toEqual({ content: "two", from: second?.id });
    expect(await listReasons(world, "four")).toContain("Disk 'data' restored from its backup of 2026-01-20 18:02 UTC");
  });

  test("waits for its newest backup while that is pending, and is then restored from it", async () => {
    const world = await memoryWorld({ snapshotMs: 3 * MINUTE });
    for (const id of ["one", "two"]) {
      await use(world, id);
      await world.advance(4 * MINUTE);
    }
    await world.advance(LISTED);
    await use(world, "three");
    await loseVolume(world);

    await submit(world, "four");
    const waits = await world.read("alice", "four");
    await world.advance(GONE + 5 * MINUTE);

    expect(waits.reason).toBe("Waits until disk 'data' is backed up");
    expect(await contentNow(world)).toMatchObject({ content: "three" });
  });

  test("is restored from the next newest backup if the newest was deleted externally, with a log line", async () => {
    const log = recordingLog();
    const world = await worldOfThree({ log });
    const [, second, newest] = await listBackups(world);
    world.volumes.loseSnapshot(newest?.id ?? "");
    await loseVolume(world);

    await submit(world, "four");
    await world.advance(GONE);

    expect(await contentNow(world)).toEqual({ content: "two", from: second?.id });
    expect(log.lines).toContainEqual({
      level: "error",
      event: "a backup is gone",
      fields: { disk: (await computeDisk(world)).uid, snapshot: newest?.id },
    });
  });

  test("is never replaced by an empty disk while its record names a backup: the job waits, and fails with that reason", async () => {
    const world = await worldOfThree();
    const { findVolume, findSnapshot } = world.volumes;
    const volume = await getVolume(world);
    Object.assign(world.volumes, { findVolume: async () => undefined, findSnapshot: async () => undefined });

    await submit(world, "four");
    await world.advance(MINUTE);
    const first = (await world.read("alice", "four")).reason;
    await world.advance(GONE);
    const second = (await world.read("alice", "four")).reason;
    await world.advance(20 * MINUTE);
    const ended = await world.read("alice", "four");
    Object.assign(world.volumes, { findVolume, findSnapshot });
    await submit(world, "five");
    await world.advance(MINUTE);

    expect([first, second]).toEqual([
      "The volume of disk 'data' is missing; searching for it",
      "Neither volume nor backups of disk 'data' are visible",
    ]);
    expect([ended.phase, ended.end.outcome?.reason]).toEqual([
      "failed",
      `Not ready after 30 minutes, at step disk: ${second}`,
    ]);
    expect(await getVolume(world)).toBe(volume);
    expect((await world.read("alice", "five")).phase).toBe("active");
    expect((await listBackups(world)).length).toBe(3);
  });

  test("is lost, and no job waits for it, if its record names only failed snapshots that cannot be removed", async () => {
    const world = await memoryWorld({ snapshotMs: MINUTE / 2 });
    world.volumes.failSnapshotsLater(9);
    Object.assign(world.volumes, { removeSnapshot: () => Promise.reject(new Error("UnauthorizedOperation")) });
    await use(world, "one");
    await world.advance(LISTED + LISTED);
    const { snapshots } = await computeDisk(world);
    await loseVolume(world);

    await submit(world, "two");
    await world.advance(GONE + MINUTE);

    expect(snapshots).toMatchObject([{ completed: false, unremoved: {} }, { unremoved: {} }, { unremoved: {} }]);
    expect((await world.read("alice", "two")).end.outcome?.reason).toBe(
      "Disk 'data' is lost: its volume is gone and there is no backup; delete or rename it",
    );
  });

  test("is lost if it had contents but no backup: its jobs fail with that reason until the volume is seen again", async () => {
    const log = recordingLog();
    const world = await memoryWorld({ log });
    await submit(world, "one");
    world.volumes.write(await getVolume(world), "one");
    const { findVolume } = world.volumes;
    Object.assign(world.volumes, { findVolume: async () => undefined });
    await cancel(world, "one");
    await world.advance(GONE);

    await submit(world, "two");
    await world.advance(MINUTE);
    const ended = await world.read("alice", "two");
    const lost = await computeDisk(world);
    Object.assign(world.volumes, { findVolume });
    await submit(world, "three");
    await world.advance(MINUTE);

    const reason = "Disk 'data' is lost: its volume is gone and there is no backup; delete or rename it";
    expect([ended.phase, ended.end.outcome?.reason]).toEqual(["failed", reason]);
    expect([lost.fault, lost.lostAt]).toEqual(["Its volume is gone and there is no backup", expect.any(Number)]);
    expect(log.lines.filter(({ event }) => event === "disk lost")).toHaveLength(1);
    expect((await computeDisk(world)).lostAt).toBeUndefined();
    expect(await contentNow(world)).toEqual({ content: "one", from: undefined });
  });

  test("is no longer lost once the volume is seen again, even without a job", async () => {
    const world = await memoryWorld();
    await submit(world, "one");
    const { findVolume } = world.volumes;
    Object.assign(world.volumes, { findVolume: async () => undefined });
    await cancel(world, "one");
    await world.advance(GONE);
    await submit(world, "two");
    await world.advance(MINUTE);
    const lost = await computeDisk(world);

    Object.assign(world.volumes, { findVolume });
    await world.advance(60 * MINUTE);

    const { lostAt, volumeMissedAt, fault } = await computeDisk(world);
    expect(lost).toMatchObject({ lostAt: expect.any(Number), fault: "Its volume is gone and there is no backup" });
    expect([lostAt, volumeMissedAt, fault]).toEqual([undefined, undefined, null]);
  });

  test("still names the volume that a backup replaced, which may be seen again", async () => {
    const world = await worldOfThree();
    const before = await getVolume(world);
    await loseVolume(world);

    await submit(world, "four");
    await world.advance(GONE);

    const { supersededVolumes, volumeMissedAt } = await computeDisk(world);
    expect([supersededVolumes, volumeMissedAt]).toEqual([[before], undefined]);
  });

  test("ignores the replaced volume even if it appears again while its creation is pending", async () => {
    const world = await worldOfThree();
    const before = await getVolume(world);
    const { findVolume } = world.volumes;
    Object.assign(world.volumes, { findVolume: async (id: string) => (id === before ? undefined : findVolume(id)) });
    await submit(world, "four");
    await world.advance(GONE);
    const { zone = "" } = (await computeDisk(world)).volume ?? {};
    const tokens = world.volumes.existing().flatMap(({ id, token = "" }) => (id === before ? [token] : []));
    const at = world.clock.now() - LISTED;
    const making = tokens.map((token) => ({ kind: "volume", token, zone, sizeGb: 10, from: null, at }) as const);
    const disk = { ...(await computeDisk(world)), making, dueAt: world.clock.now() };
    await world.table.put(disk);

    await reconcile(world.ctx, { look: keyText(disk) });

    const { supersededVolumes, making: left } = await computeDisk(world);
    expect([tokens.length, supersededVolumes, left]).toEqual([1, [before], []]);
    expect(world.volumes.volumeIds()).toContain(before);
  });

  test("notes its restore once, although the worker that restored it died before writing that", async () => {
    const world = await worldOfThree();
    await loseVolume(world);
    const { put } = world.table;
    let died = false;
    const dying: typeof put = async (item, options) => {
      const { disk } = item as { disk?: { attached?: boolean } };
      if (disk?.attached && !died) {
        died = true;
        throw new Error("died");
      }
      return put(item, options);
    };
    Object.assign(world.table, { put: dying });

    await submit(world, "four").catch(() => undefined);
    await world.advance(GONE).catch(() => undefined);
    await world.advance(GONE);

    expect(died).toBe(true);
    expect((await listReasons(world, "four")).filter((reason) => reason?.includes("restored"))).toHaveLength(1);
    expect(world.volumes.volumeIds()).toHaveLength(1);
  });
});

describe("an existing volume", () => {
  test("is used with the data written after the newest backup, and never overwritten by a restore", async () => {
    const world = await worldOfThree();
    world.volumes.write(await getVolume(world), "written after the backup");

    await submit(world, "four");
    await world.advance(MINUTE);

    expect(await contentNow(world)).toEqual({ content: "written after the backup", from: undefined });
    expect(world.volumes.history().some(({ kind }) => kind === "restored")).toBe(false);
  });

  test("is used although one listing missed it", async () => {
    const world = await worldOfThree();
    const { findVolume } = world.volumes;
    let readings = 0;
    const once: typeof findVolume = async (id) => (++readings === 1 ? undefined : findVolume(id));
    Object.assign(world.volumes, { findVolume: once });

    await submit(world, "four");
    await world.advance(MINUTE);

    expect(await contentNow(world)).toEqual({ content: "three", from: undefined });
    expect((await computeDisk(world)).volumeMissedAt).toBeUndefined();
  });

  test("is used although two listings by a worker that slept for over ten minutes missed it", async () => {
    const world = await worldOfThree();
    const { findVolume } = world.volumes;
    let readings = 0;
    const asleep: typeof findVolume = async (id) => {
      readings += 1;
      if (readings === 1) world.clock.advance(GONE);
      return readings <= 2 ? undefined : findVolume(id);
    };
    Object.assign(world.volumes, { findVolume: asleep });

    await submit(world, "four");
    await world.advance(2 * MINUTE);

    expect(await contentNow(world)).toEqual({ content: "three", from: undefined });
  });

  test("is used although two listings, days apart, missed it", async () => {
    const world = await worldOfThree();
    const before = await getVolume(world);
    const { findVolume } = world.volumes;
    Object.assign(world.volumes, { findVolume: async () => undefined });
    await submit(world, "four");
    const missed = await computeDisk(world);
    Object.assign(world.volumes, { findVolume });
    await cancel(world, "four");
    await world.advance(3 * 24 * 60 * MINUTE);

    let input = 0;
    const blink: typeof findVolume = async (id) => (input++ === 0 ? undefined : findVolume(id));
    Object.assign(world.volumes, { findVolume: blink });
    await submit(world, "five");
    await world.advance(GONE);

    expect(missed.volumeMissedAt).toEqual(expect.any(Number));
    expect(input).toBeGreaterThan(1);
    expect([await getVolume(world), (await computeDisk(world)).supersededVolumes]).toEqual([before, undefined]);
    expect((await world.read("alice", "five")).phase).toBe("active");
  });

  test("is used by the next job although it is listed only minutes after its creation", async () => {
    const world = await memoryWorld({ listedAfterMs: 5 * MINUTE });
    await submit(world, "one");
    world.volumes.write(await getVolume(world), "one");
    await cancel(world, "one");
    await world.advance(30 * MINUTE);

    await submit(world, "two");
    await world.advance(MINUTE);

    expect(await contentNow(world)).toEqual({ content: "one", from: undefined });
    expect(world.volumes.volumeIds()).toHaveLength(1);
    expect((await listBackups(world)).length).toBeGreaterThan(0);
  });
});

test("a missing backup does not count until it is seen again", async () => {
  const world = await worldOfThree();
  const { findSnapshot } = world.volumes;
  const last = (await listBackups(world)).at(-1)?.id;
  Object.assign(world.volumes, {
    findSnapshot: async (id: string) => (id === last ? undefined : findSnapshot(id)),
  });

  await world.advance(25 * 60 * MINUTE);
  const missing = seenBackups(await computeDisk(world)).length;
  Object.assign(world.volumes, { findSnapshot });
  await world.advance(25 * 60 * MINUTE);

  expect([missing, seenBackups(await computeDisk(world)).length]).toEqual([2, 3]);
});

test("a backup that one check missed is searched for again within minutes, not a day later", async () => {
  const world = await worldOfThree();
  const { findSnapshot } = world.volumes;
  let missed = 0;
  const blink: typeof findSnapshot = async (id) => (missed++ < 3 ? undefined : findSnapshot(id));
  Object.assign(world.volumes, { findSnapshot: blink });
  while (missed === 0) await world.advance(60 * MINUTE);
  await world.advance(3 * MINUTE);

  const { snapshots } = await computeDisk(world);

  expect(missed).toBeGreaterThan(3);
  expect(snapshots.map(({ missedAt }) => missedAt)).toEqual([undefined, undefined, undefined]);
});

describe("thinning", () => {
  test("keeps the newest three backups, by their points in time", async () => {
    const world = await memoryWorld();
    const made: { id: string; at: number }[] = [];
    for (const id of ["one", "two", "three", "four", "five"]) {
      await use(world, id);
      made.push(...(await listBackups(world)).slice(-1));
      await world.advance(MINUTE);
    }

    const kept = await listBackups(world);

    expect(new Set(made.map(({ at }) => at)).size).toBe(5);
    expect(kept).toEqual(made.slice(2));
    expect(world.volumes.snapshotIds()).toEqual(made.slice(2).map(({ id }) => id));
  });

  test("counts only existing backups, so an external deletion causes no other removal", async () => {
    const world = await worldOfThree();
    const [first, second, third] = await listBackups(world);
    world.volumes.loseSnapshot(third?.id ?? "");

    await use(world, "four");
    await world.advance(MINUTE);

    const fourth = (await listBackups(world)).at(-1);
    expect(world.volumes.snapshotIds()).toEqual([first?.id, second?.id, fourth?.id]);
  });

  test("keeps the backup that a restore uses, however many newer ones exist", async () => {
    const world = await memoryWorld();
    await use(world, "one");
    const [source] = await listBackups(world);
    await world.advance(LISTED);
    await loseVolume(world);
    await submit(world, "two");
    await world.advance(GONE);
    await cancel(world, "two");

    for (const id of ["three", "four", "five"]) await use(world, id);
    const during = world.volumes.snapshotIds();
    await world.advance(LISTED);

    expect([during[0], during.length]).toEqual([source?.id, 4]);
    expect(world.volumes.snapshotIds()).toEqual(during.slice(1));
  });
});
