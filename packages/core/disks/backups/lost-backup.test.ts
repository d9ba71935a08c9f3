import { describe, expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { requestCancel } from "../../environments/verbs/actions.ts";
import { createEnvironment } from "../../environments/verbs/create.ts";
import type { SnapshotTags, VolumeSnapshot } from "../../ports/volumes.ts";
import { diskKey, keyText } from "../../store/keys.ts";
import { writeRecord } from "../../store/write-record.ts";
import type { Disk } from "../record.ts";
import { deleteDisk, undeleteDisk } from "../requests.ts";
import { getDisk } from "../view.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const PENDING_MS = 30_000;

/** A job with the disk `data` has ended, and the next `count` snapshots fail after they are recorded. */
async function worldOfFailing(count: number): Promise<MemoryWorld> {
  const world = await memoryWorld({ snapshotMs: PENDING_MS });
  await submit(world, "one");
  await world.advance(2000);
  world.volumes.failSnapshotsLater(count);
  await requestCancel(world.as("alice"), "one");
  await world.advance(10_000);
  return world;
}

async function submit(world: MemoryWorld, id: string): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk: "data" }));
}

async function computeDisk(world: MemoryWorld): Promise<Disk> {
  return (await getDisk(world.as("alice"), "data")).disk;
}

const snapshotsMade = (world: MemoryWorld) => world.volumes.history().filter(({ kind }) => kind === "snapshot").length;

/** Lists new snapshots with this delay. */
function hideSnapshots({ clock, volumes }: MemoryWorld, ms: number): void {
  const from = clock.now();
  const isSeen = ({ at }: VolumeSnapshot) => at < from || clock.now() >= at + ms;
  const { listSnapshots } = volumes;
  Object.assign(volumes, { listSnapshots: async (id: string) => (await listSnapshots(id)).filter(isSeen) });
}

const CALLS = ["findVolume", "findSnapshot", "listSnapshots", "createSnapshot", "removeSnapshot"] as const;

const outages: [what: string, pass: (world: MemoryWorld, ms: number) => Promise<void>][] = [
  ["the workers were away", async ({ clock }, ms) => clock.advance(ms)],
  [
    "the provider did not answer",
    async (world, ms) => {
      const back = takeAway(world.volumes, ...CALLS);
      await world.advance(ms);
      back();
    },
  ],
];

/** Makes the next search for a snapshot miss it. Returns whether it did. */
function missOnce({ volumes }: MemoryWorld, findSnapshot: MemoryWorld["volumes"]["findSnapshot"]) {
  let isOver = false;
  const blink: typeof findSnapshot = async () => {
    Object.assign(volumes, { findSnapshot });
    isOver = true;
    return undefined;
  };
  Object.assign(volumes, { findSnapshot: blink });
  return () => isOver;
}

describe("a backup that failed after it was recorded", () => {
  test("is repeated once, and shown as in progress until it is complete", async () => {
    const world = await worldOfFailing(1);
    const recorded = (await computeDisk(world)).snapshots;

    await world.advance(PENDING_MS);
    const meanwhile = await getDisk(world.as("alice"), "data");
    await world.advance(5 * MINUTE);

    expect(recorded).toMatchObject([{ completed: false }]);
    expect(meanwhile).toMatchObject({ inUse: false, backingUp: true });
    const { snapshots, lost, fault } = await computeDisk(world);
    expect(snapshots).toMatchObject([{ completed: true }]);
    expect(snapshots[0]?.id).not.toBe(recorded[0]?.id);
    expect([snapshotsMade(world), lost, fault]).toEqual([2, undefined, null]);
  });

  test("is repeated with the tags of the first, disk and record", async () => {
    const world = await worldOfFailing(1);
    const { createSnapshot } = world.volumes;
    const made: SnapshotTags[] = [];
    const watched: typeof createSnapshot = (volume, tags) => {
      made.push(tags);
      return createSnapshot(volume, tags);
    };
    Object.assign(world.volumes, { createSnapshot: watched });

    await world.advance(3 * PENDING_MS);

    const { owner, uid } = await computeDisk(world);
    const key = keyText(diskKey(owner, uid));
    expect(made).toEqual([{ name: "data", disk: uid, key, attempt: expect.any(String) }]);
  });

  test("does not count as failed because one check misses it", async () => {
    const world = await memoryWorld({ snapshotMs: 20 * MINUTE });
    await submit(world, "one");
    await world.advance(2000);
    await requestCancel(world.as("alice"), "one");
    await world.advance(15 * MINUTE);
    const { findSnapshot } = world.volumes;
    let input = 0;
    const blink: typeof findSnapshot = async (id) => (input++ === 0 ? undefined : findSnapshot(id));
    Object.assign(world.volumes, { findSnapshot: blink });

    await world.advance(MINUTE);
    const pending = (await computeDisk(world)).snapshots;
    await world.advance(10 * MINUTE);

    expect([input > 1, pending]).toMatchObject([true, [{ completed: false }]]);
    expect((await computeDisk(world)).snapshots).toMatchObject([{ id: pending[0]?.id, completed: true }]);
    expect(snapshotsMade(world)).toBe(1);
  });

  test("is repeated although one check misses its volume", async () => {
    const world = await worldOfFailing(1);
    const { findVolume } = world.volumes;
    let input = 0;
    const blink: typeof findVolume = async (id) => (input++ === 0 ? undefined : findVolume(id));
    Object.assign(world.volumes, { findVolume: blink });

    await world.advance(5 * MINUTE);

    expect(input).toBeGreaterThan(1);
    expect(await computeDisk(world)).toMatchObject({ snapshots: [{ completed: true }], fault: null });
    expect((await computeDisk(world)).volumeMissedAt).toBeUndefined();
  });

  test("is tried three times in all; then the record says so and the volume is kept", async () => {
    const world = await worldOfFailing(9);

    await world.advance(30 * MINUTE);

    const { snapshots, fault, volume } = await computeDisk(world);
    expect(snapshotsMade(world)).toBe(3);
    expect([snapshots, fault]).toEqual([[], "Its latest backup failed 3 times; the volume is kept"]);
    expect(world.volumes.volumeIds()).toEqual([volume?.id]);
    expect(await getDisk(world.as("alice"), "data")).toMatchObject({ inUse: false, backingUp: false });
  });

  test("is retried after refusals with growing pauses, while a job may use the disk", async () => {
    const world = await worldOfFailing(1);
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    await world.advance(PENDING_MS + 3 * MINUTE);
    const refused = await getDisk(world.as("alice"), "data");

    world.volumes.failSnapshots(0);
    await world.advance(5 * MINUTE);

    expect(refused).toMatchObject({
      backingUp: false,
      disk: { lost: { attempt: 2 }, fault: "Its backup was refused; retrying: Snapshot limit exceeded" },
    });
    expect(await computeDisk(world)).toMatchObject({ snapshots: [{ completed: true }], fault: null });
    expect(snapshotsMade(world)).toBe(2);
  });

  test("is given up after two refused attempts of two hours", async () => {
    const world = await worldOfFailing(1);
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    await world.advance(3 * HOUR);
    const meanwhile = (await computeDisk(world)).lost;

    await world.advance(2 * HOUR);

    expect(meanwhile).toMatchObject({ attempt: 3, gaveUp: null });
    expect((await computeDisk(world)).fault).toBe("Its latest backup failed 3 times; the volume is kept");
  });

  test("is repeated once although the answer was lost and it is listed after minutes", async () => {
    const world = await worldOfFailing(1);
    hideSnapshots(world, 4 * MINUTE);
    const { createSnapshot } = world.volumes;
    const withoutAnswer: typeof createSnapshot = async (...input) => {
      await createSnapshot(...input);
      throw new Error("timed out");
    };
    Object.assign(world.volumes, { createSnapshot: withoutAnswer });
    await world.advance(PENDING_MS + 2 * MINUTE);
    const early = await getDisk(world.as("alice"), "data");

    await world.advance(15 * MINUTE);

    expect(early).toMatchObject({ backingUp: false, disk: { snapshots: [] } });
    expect(await computeDisk(world)).toMatchObject({ snapshots: [{ completed: true }], making: [] });
    expect((await computeDisk(world)).lost).toBeUndefined();
    expect(snapshotsMade(world)).toBe(2);
  });

  test("is found after the answer of its create call was lost", async () => {
    const world = await worldOfFailing(1);
    const { createSnapshot } = world.volumes;
    const withoutAnswer: typeof createSnapshot = async (...input) => {
      await createSnapshot(...input);
      throw new Error("timed out");
    };
    Object.assign(world.volumes, { createSnapshot: withoutAnswer });

    await world.advance(5 * MINUTE);

    expect((await computeDisk(world)).snapshots).toMatchObject([{ completed: true }]);
    expect(snapshotsMade(world)).toBe(2);
  });

  test("is repeated only once if it is complete before the next check", async () => {
    const world = await worldOfFailing(1);
    const { listSnapshots } = world.volumes;
    const isDownUntil = world.clock.now() + 2 * PENDING_MS + 20_000;
    const downAtFirst: typeof listSnapshots = async (volume) => {
      if (world.clock.now() < isDownUntil) throw new Error("connect ECONNREFUSED");
      return listSnapshots(volume);
    };
    Object.assign(world.volumes, { listSnapshots: downAtFirst });

    await world.advance(10 * MINUTE);

    const { snapshots, lost } = await computeDisk(world);
    expect([snapshots.length, lost, snapshotsMade(world)]).toEqual([1, undefined, 2]);
    expect(snapshots).toMatchObject([{ completed: true }]);
  });

  test("is repeated within seconds although the worker that removed the failed one died", async () => {
    const world = await worldOfFailing(1);
    const { removeSnapshot } = world.volumes;
    let died = 0;
    const thenDie: typeof removeSnapshot = async (id) => {
      await removeSnapshot(id);
      if (died++ === 0) throw new Error("the process was killed");
    };
    Object.assign(world.volumes, { removeSnapshot: thenDie });

    await world.advance(PENDING_MS + 60_000);

    expect(died).toBeGreaterThan(0);
    expect((await computeDisk(world)).snapshots).toMatchObject([{ completed: true }]);
  });

  test("is left to the job that holds the disk by then, and never made during that job", async () => {
    const world = await worldOfFailing(1);
    await submit(world, "two");

    await world.advance(10 * MINUTE);
    const during = { made: snapshotsMade(world), phase: (await world.read("alice", "two")).phase };
    await requestCancel(world.as("alice"), "two");
    await world.advance(5 * MINUTE);

    expect(during).toEqual({ made: 1, phase: "active" });
    const { snapshots, lost } = await computeDisk(world);
    expect(snapshots).toMatchObject([{ completed: true }]);
    expect([snapshotsMade(world), lost]).toEqual([2, undefined]);
  });

  test("is made after all if the job that got the disk never opened it", async () => {
    const world = await worldOfFailing(1);
    await submit(world, "two");
    await requestCancel(world.as("alice"), "two");

    await world.advance(5 * MINUTE);

    expect((await computeDisk(world)).snapshots).toMatchObject([{ completed: true }]);
    expect(snapshotsMade(world)).toBe(2);
  });

  test("delays a job that arrives while it is being repeated", async () => {
    const world = await worldOfFailing(1);
    const back = takeAway(world.volumes, "createSnapshot");
    await world.advance(PENDING_MS);
    const { lost } = await computeDisk(world);

    await submit(world, "two");
    await world.advance(10_000);
    back();
    const waits = await world.read("alice", "two");
    await world.advance(5 * MINUTE);

    expect(lost?.until).not.toBeNull();
    expect(waits).toMatchObject({ phase: "queued", reason: "Waits until disk 'data' is backed up" });
    expect((await world.read("alice", "two")).phase).toBe("active");
    expect(snapshotsMade(world)).toBe(1);
  });

  test("is repeated for a deleted disk after its undelete", async () => {
    const world = await worldOfFailing(1);
    await deleteDisk(world.as("alice"), "data");
    await world.advance(5 * MINUTE);
    const marked = snapshotsMade(world);

    await undeleteDisk(world.as("alice"), "data");
    await world.advance(5 * MINUTE);

    expect([marked, snapshotsMade(world)]).toEqual([1, 2]);
    expect((await computeDisk(world)).snapshots).toMatchObject([{ completed: true }]);
  });

  test("cannot be repeated without its volume, and the record says so", async () => {
    const world = await worldOfFailing(1);
    await world.volumes.removeVolume("vol-1");

    await world.advance(12 * MINUTE);

    expect((await computeDisk(world)).fault).toBe("Its latest backup failed, and its volume is gone");
    expect(snapshotsMade(world)).toBe(1);
  });

  test("is repeated after all once the volume that seemed lost is seen again", async () => {
    const world = await worldOfFailing(1);
    const { findVolume } = world.volumes;
    Object.assign(world.volumes, { findVolume: async () => undefined });
    await world.advance(15 * MINUTE);
    const { fault } = await computeDisk(world);

    Object.assign(world.volumes, { findVolume });
    await world.advance(HOUR);

    expect(fault).toBe("Its latest backup failed, and its volume is gone");
    expect(await computeDisk(world)).toMatchObject({ fault: null, snapshots: [{ completed: true }] });
    expect((await computeDisk(world)).lost).toBeUndefined();
  });

  test("is not shown as refused once an earlier attempt's snapshot is found", async () => {
    const world = await worldOfFailing(1);
    hideSnapshots(world, 12 * MINUTE);
    const { createSnapshot, findSnapshot } = world.volumes;
    const withoutAnswer: typeof createSnapshot = async (...input) => {
      await createSnapshot(...input);
      world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
      throw new Error("timed out");
    };
    const pending: typeof findSnapshot = async (id) => {
      const found = await findSnapshot(id);
      return found && { ...found, state: "pending" };
    };
    const { listSnapshots } = world.volumes;
    const listed: typeof listSnapshots = async (id) =>
      (await listSnapshots(id)).map((snapshot) => ({ ...snapshot, state: "pending" }));
    await world.advance(PENDING_MS - 10_000);
    Object.assign(world.volumes, { createSnapshot: withoutAnswer });
    await world.advance(11 * MINUTE + 20_000);
    const refused = (await computeDisk(world)).lost?.refused;
    Object.assign(world.volumes, { findSnapshot: pending, listSnapshots: listed });

    await world.advance(5 * MINUTE);

    expect(refused).toBe("Snapshot limit exceeded");
    expect(await computeDisk(world)).toMatchObject({ snapshots: [{ completed: false }] });
    expect((await computeDisk(world)).fault ?? "").not.toContain("refused");
  });

  test.each(outages)("is still repeated after an outage of three hours in its last attempt: %s", async (_, pass) => {
    const world = await worldOfFailing(1);
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    await world.advance(2 * HOUR + 20 * MINUTE);
    const before = (await computeDisk(world)).lost;

    await pass(world, 3 * HOUR);
    await world.advance(20 * MINUTE);
    const after = (await computeDisk(world)).lost;
    world.volumes.failSnapshots(0);
    await world.advance(20 * MINUTE);

    expect([before, after]).toMatchObject([
      { attempt: 3, gaveUp: null },
      { attempt: 3, gaveUp: null },
    ]);
    expect(await computeDisk(world)).toMatchObject({ snapshots: [{ completed: true }], fault: null });
  });

  test.each(outages)("is given up eventually despite repeated outages: %s", async (_, pass) => {
    const world = await worldOfFailing(1);
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    await world.advance(2 * HOUR + 20 * MINUTE);

    for (let round = 0; round < 8; round++) {
      await pass(world, 3 * HOUR);
      await world.advance(10 * MINUTE);
    }

    expect((await computeDisk(world)).fault).toBe("Its latest backup failed 3 times; the volume is kept");
  });

  test.each(outages)(
    "does not count as failed because the checks before and after an outage miss it: %s",
    async (_, pass) => {
      const world = await memoryWorld({ snapshotMs: 2 * HOUR });
      await submit(world, "one");
      await world.advance(2000);
      await requestCancel(world.as("alice"), "one");
      await world.advance(15 * MINUTE);
      const pending = (await computeDisk(world)).snapshots;
      const { findSnapshot } = world.volumes;

      Object.assign(world.volumes, { findSnapshot: async () => undefined });
      while ((await computeDisk(world)).snapshots[0]?.missedAt === undefined) await world.advance(1_000);
      await pass(world, 12 * MINUTE);
      const isOver = missOnce(world, findSnapshot);
      while (!isOver()) await world.advance(1_000);
      await world.advance(2 * HOUR);

      expect((await computeDisk(world)).snapshots).toMatchObject([{ id: pending[0]?.id, completed: true }]);
      expect(snapshotsMade(world)).toBe(1);
    },
  );

  test("is repeated within a minute after it was removed by hand while pending", async () => {
    const world = await memoryWorld({ snapshotMs: 2 * HOUR });
    await submit(world, "one");
    await world.advance(2000);
    await requestCancel(world.as("alice"), "one");
    await world.advance(15 * MINUTE);
    const { findSnapshot } = world.volumes;
    const gone = (await computeDisk(world)).snapshots[0]?.id;
    Object.assign(world.volumes, {
      findSnapshot: async (id: string) => (id === gone ? undefined : findSnapshot(id)),
      listSnapshots: async () => [],
    });

    await world.advance(MINUTE);

    expect((await computeDisk(world)).lost).toMatchObject({ of: gone, gaveUp: null });
  });

  test("loses no attempt while a waiting job has the disk", async () => {
    const world = await worldOfFailing(1);
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    await world.advance(5 * MINUTE);
    await createEnvironment(world.as("bob"), newEnvironment("all", { gpus: 16, hours: 24 }));
    await world.advance(MINUTE);
    await createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data", gpus: 16 }));
    await world.advance(3 * HOUR);
    const { phase } = await world.read("alice", "two");
    await requestCancel(world.as("alice"), "two");
    await world.advance(5 * MINUTE);

    const { lost } = await computeDisk(world);

    expect([phase, lost]).toMatchObject(["queued", { attempt: 2, gaveUp: null }]);
  });

  test("loses no attempt while its disk is marked for deletion", async () => {
    const world = await worldOfFailing(1);
    world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
    await world.advance(5 * MINUTE);
    const before = (await computeDisk(world)).lost;
    await deleteDisk(world.as("alice"), "data");
    await world.advance(5 * HOUR);
    await undeleteDisk(world.as("alice"), "data");
    await world.advance(5 * MINUTE);

    const { lost } = await computeDisk(world);

    expect([before?.attempt, lost]).toMatchObject([2, { attempt: 2, gaveUp: null }]);
  });

  test("is forgotten once a later job's end was recorded, which has its own attempts", async () => {
    const world = await worldOfFailing(3);
    await world.advance(10 * MINUTE);
    const before = (await computeDisk(world)).fault;

    await submit(world, "two");
    await world.advance(MINUTE);
    world.volumes.failSnapshotsLater(2);
    await requestCancel(world.as("alice"), "two");
    await world.advance(10 * MINUTE);

    expect(before).toMatch(/failed 3 times/);
    expect(await computeDisk(world)).toMatchObject({ fault: null, snapshots: [{ completed: true }] });
    expect(snapshotsMade(world)).toBe(6);
  });

  test("is repeated even if the holder of the disk disappeared without a release", async () => {
    const world = await worldOfFailing(1);
    await createEnvironment(world.as("alice"), newEnvironment("two"));
    const { uid, pk, sk } = await world.read("alice", "two");
    const disk = await computeDisk(world);
    const heldBy = { uid, key: `${pk}|${sk}`, id: "two" };
    await writeRecord(world.ctx, { ...disk, heldBy });
    await world.advance(5 * MINUTE);
    const held = snapshotsMade(world);

    await requestCancel(world.as("alice"), "two");
    await world.advance(5 * MINUTE);

    expect([held, snapshotsMade(world)]).toEqual([1, 2]);
  });

  test("delays the purge of its disk while it is being made, so no snapshot is left over", async () => {
    const world = await worldOfFailing(1);
    const back = takeAway(world.volumes, "createSnapshot");
    await world.advance(PENDING_MS);
    const { lost } = await computeDisk(world);
    back();

    const { disk } = await deleteDisk(world.as("alice"), "data");
    await world.table.put({ ...disk, purgeAt: world.clock.now() } as Disk);
    await world.advance(20_000);
    const claimed = (await computeDisk(world)).phase;
    await world.advance(15 * MINUTE);

    expect(lost?.until).toBeGreaterThan(world.clock.now() - 20 * MINUTE);
    expect(claimed).toBe("deleted");
    expect([world.volumes.volumeIds(), world.volumes.snapshotIds()]).toEqual([[], []]);
  });
});
