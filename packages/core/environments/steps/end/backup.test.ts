import { expect, test } from "vitest";
import { takeAway } from "#tests/faults/take-away.ts";
import { recordingLog } from "#tests/fixtures/log.ts";
import { type MemoryWorld, memoryWorld, newEnvironment } from "#tests/worlds/memory-world.ts";
import { getDisk } from "../../../disks/view.ts";
import type { SnapshotTags } from "../../../ports/volumes.ts";
import { VolumeRefused } from "../../../problem.ts";
import { diskKey, keyText } from "../../../store/keys.ts";
import { requestCancel } from "../../verbs/actions.ts";
import { createEnvironment } from "../../verbs/create.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** An active job of alice's with the disk `data`. */
async function usedBy(world: MemoryWorld, id: string): Promise<void> {
  await createEnvironment(world.as("alice"), newEnvironment(id, { disk: "data", hours: 2 }));
  await world.advance(2000);
}

const snapshotsMade = (world: MemoryWorld) => world.volumes.history().filter(({ kind }) => kind === "snapshot").length;

/** Makes the next snapshot but loses the answer. */
function loseAnswer(world: MemoryWorld): void {
  const { createSnapshot } = world.volumes;
  const lossy: typeof createSnapshot = async (...input) => {
    await createSnapshot(...input);
    throw new Error("timed out");
  };
  Object.assign(world.volumes, { createSnapshot: lossy });
}

/** Refuses every snapshot. Returns a counter of the requests. */
function countRefusals(world: MemoryWorld): () => number {
  let count = 0;
  const refuse = async () => {
    count += 1;
    throw new VolumeRefused("Snapshot limit exceeded");
  };
  Object.assign(world.volumes, { createSnapshot: refuse });
  return () => count;
}

test("a disk with a backup refused for three minutes is backed up once, and its job shows why it waits", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
  await requestCancel(world.as("alice"), "one");
  await world.advance(3 * MINUTE);
  const meanwhile = await world.read("alice", "one");
  const held = await getDisk(world.as("alice"), "data");

  world.volumes.failSnapshots(0);
  await world.advance(4 * MINUTE);

  const refused = "The backup of its disk was refused; retrying: Snapshot limit exceeded";
  expect(meanwhile).toMatchObject({ phase: "stopping", end: { waitsFor: refused } });
  expect(meanwhile.events.timeline.filter(({ reason }) => reason === refused)).toHaveLength(1);
  expect(held).toMatchObject({ backingUp: true, disk: { snapshots: [] } });
  expect((await world.read("alice", "one")).phase).toBe("cancelled");
  expect((await getDisk(world.as("alice"), "data")).disk).toMatchObject({ snapshots: [{ completed: true }] });
  expect(snapshotsMade(world)).toBe(1);
});

test("a disk with a backup refused in three attempts of two hours keeps its volume and is released, as both records show", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  const tries = countRefusals(world);
  await requestCancel(world.as("alice"), "one");
  await world.advance(5 * HOUR);
  const triedIn5Hours = tries();
  expect((await world.read("alice", "one")).phase).toBe("stopping");

  await world.advance(2 * HOUR);

  const { events, phase } = await world.read("alice", "one");
  expect(phase).toBe("cancelled");
  expect(events.timeline.map(({ reason }) => reason)).toContain(
    "Its disk could not be backed up in 3 attempts; the volume is kept",
  );
  const { disk, inUse } = await getDisk(world.as("alice"), "data");
  expect({ inUse, volume: disk.volume?.id }).toEqual({ inUse: false, volume: "vol-1" });
  expect(disk.fault).toBe("Its latest backup could not be made; the volume is kept");
  // At most every five minutes, except for the first tries of each attempt.
  expect(triedIn5Hours).toBeGreaterThan(30);
  expect(triedIn5Hours).toBeLessThan(90);
});

test("a disk without backups by its provider is released at once, as both records show, and a later end repairs that", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ log });
  world.volumes.sayNoBackup("impossible");
  await usedBy(world, "one");
  await requestCancel(world.as("alice"), "one");
  await world.advance(10_000);
  const { events, phase } = await world.read("alice", "one");
  const kept = await getDisk(world.as("alice"), "data");

  await usedBy(world, "two");
  const two = await world.read("alice", "two");
  world.volumes.sayNoBackup(undefined);
  await requestCancel(world.as("alice"), "two");
  await world.advance(10_000);

  const words = "No backups can be made where it runs; the volume is kept";
  expect([phase, events.timeline.filter(({ reason }) => reason === words).length]).toEqual(["cancelled", 1]);
  const fault = `Its backup was refused; retrying: ${words}`;
  expect(kept).toMatchObject({ inUse: false, backingUp: false, disk: { fault, volume: { id: "vol-1" } } });
  expect(two.events.timeline.map(({ reason }) => reason)).toContain("There is no backup of disk 'data'");
  expect(log.lines.filter(({ level }) => level === "error")).toEqual([]);
  expect((await getDisk(world.as("alice"), "data")).disk).toMatchObject({
    fault: null,
    snapshots: [{ completed: true }],
  });
});

test("a backup names its disk and the disk's record from its create call on", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  const { createSnapshot } = world.volumes;
  const made: SnapshotTags[] = [];
  const watched: typeof createSnapshot = (volume, tags) => {
    made.push(tags);
    return createSnapshot(volume, tags);
  };
  Object.assign(world.volumes, { createSnapshot: watched });

  await requestCancel(world.as("alice"), "one");
  await world.advance(MINUTE);

  const { owner, uid } = (await getDisk(world.as("alice"), "data")).disk;
  const key = keyText(diskKey(owner, uid));
  expect(made).toEqual([{ name: "data", disk: uid, key, attempt: expect.any(String) }]);
});

test("a backup that was answered as impossible is made once it is possible, even without another job", async () => {
  const world = await memoryWorld();
  world.volumes.sayNoBackup("impossible");
  await usedBy(world, "one");
  await requestCancel(world.as("alice"), "one");
  await world.advance(10_000);

  world.volumes.sayNoBackup(undefined);
  await world.advance(MINUTE);

  const { disk } = await getDisk(world.as("alice"), "data");
  expect(disk).toMatchObject({ fault: null, snapshots: [{ completed: true }] });
  expect([snapshotsMade(world), disk.lost]).toEqual([1, undefined]);
});

test("a backup that is never possible is given up after three attempts of two hours, with an alarm", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ log });
  world.volumes.sayNoBackup("impossible");
  await usedBy(world, "one");
  await requestCancel(world.as("alice"), "one");
  await world.advance(5 * HOUR);
  const tried = await getDisk(world.as("alice"), "data");
  const alarms = () => log.lines.filter(({ level }) => level === "error").map(({ event }) => event);
  const early = alarms();

  await world.advance(2 * HOUR);

  const reason = "No backups can be made where it runs; the volume is kept";
  expect([tried.disk.lost?.gaveUp, early]).toEqual([null, []]);
  expect((await getDisk(world.as("alice"), "data")).disk).toMatchObject({ fault: reason, lost: { gaveUp: reason } });
  expect(alarms()).toEqual(["disk not backed up"]);
  expect(snapshotsMade(world)).toBe(0);
});

test("a disk without new data is released without a backup or a notice", async () => {
  const world = await memoryWorld();
  world.volumes.sayNoBackup("unneeded");
  await usedBy(world, "one");

  await requestCancel(world.as("alice"), "one");
  await world.advance(10_000);

  const { disk, backingUp } = await getDisk(world.as("alice"), "data");
  expect((await world.read("alice", "one")).phase).toBe("cancelled");
  expect([snapshotsMade(world), backingUp, disk.fault, disk.lost]).toEqual([0, false, null, undefined]);
});

test("a disk without its latest backup tells the next job the time of the earlier one, and that job's end makes a new one", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  await requestCancel(world.as("alice"), "one");
  await world.advance(10_000);
  await usedBy(world, "two");
  world.volumes.failSnapshotsLater(3);
  await requestCancel(world.as("alice"), "two");
  await world.advance(MINUTE);

  await createEnvironment(world.as("alice"), newEnvironment("three", { disk: "data" }));
  await world.advance(5000);
  const three = await world.read("alice", "three");
  await requestCancel(world.as("alice"), "three");
  await world.advance(MINUTE);

  const { disk } = await getDisk(world.as("alice"), "data");
  expect(three.events.timeline.map(({ reason }) => reason)).toContainEqual(
    expect.stringMatching(/^The latest backup of disk 'data' is of \d{4}-\d\d-\d\d \d\d:\d\d UTC$/),
  );
  expect([disk.fault, disk.lost]).toEqual([null, undefined]);
});

test("a disk is backed up once per end although the answer was lost and the snapshot is listed after minutes", async () => {
  const world = await memoryWorld({ listedAfterMs: 4 * MINUTE });
  await createEnvironment(world.as("alice"), newEnvironment("one", { disk: "data" }));
  await world.advance(10 * MINUTE);
  loseAnswer(world);

  await requestCancel(world.as("alice"), "one");
  await world.advance(3 * MINUTE);
  const early = (await world.read("alice", "one")).phase;
  await world.advance(3 * MINUTE);

  expect([early, (await world.read("alice", "one")).phase]).toEqual(["stopping", "cancelled"]);
  expect(snapshotsMade(world)).toBe(1);
});

test("a disk gets a second snapshot once an unanswered first one certainly does not exist", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  const back = takeAway(world.volumes, "createSnapshot");
  await requestCancel(world.as("alice"), "one");
  await world.advance(MINUTE);
  back();

  await world.advance(9 * MINUTE);
  const early = snapshotsMade(world);
  await world.advance(3 * MINUTE);

  expect([early, snapshotsMade(world)]).toEqual([0, 1]);
  expect((await world.read("alice", "one")).phase).toBe("cancelled");
});

test("a disk and its next job show that a snapshot is pending, for up to a day", async () => {
  const world = await memoryWorld({ snapshotMs: 90 * 24 * HOUR });
  await usedBy(world, "one");
  await requestCancel(world.as("alice"), "one");
  await world.advance(10_000);
  await createEnvironment(world.as("alice"), newEnvironment("two", { disk: "data" }));
  await world.advance(23 * HOUR);
  const waits = await world.read("alice", "two");
  const { disk } = await getDisk(world.as("alice"), "data");

  await world.advance(2 * HOUR);

  const since = "pending since \\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d UTC";
  expect(waits.reason).toMatch(new RegExp(`^Waits until disk 'data' is backed up; its snapshot has been ${since}$`));
  expect(disk.fault).toMatch(new RegExp(`^Its snapshot snap-2 has been ${since}$`));
  expect(await world.read("alice", "two")).toMatchObject({ run: { startedAt: expect.any(Number) } });
}, 60_000);

test("a disk that lost its volume before any backup reports no backup", async () => {
  const log = recordingLog();
  const world = await memoryWorld({ log });
  await usedBy(world, "one");
  world.volumes.loseVolume("vol-1");
  await requestCancel(world.as("alice"), "one");

  await world.advance(15 * MINUTE);

  const { phase, events } = await world.read("alice", "one");
  const reasons = events.timeline.map(({ reason }) => reason);
  expect(phase).toBe("cancelled");
  const said = "Its disk's volume is gone, and there is no backup";
  expect(reasons).toContain(said);
  const alarms = log.lines.filter(({ level, event }) => level === "error" && event === "disk not backed up");
  expect(alarms).toMatchObject([{ fields: { reason: said } }]);
});

test("a disk that lost its volume after a backup reports that backup", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  await requestCancel(world.as("alice"), "one");
  await world.advance(15 * MINUTE);
  await usedBy(world, "two");
  world.volumes.loseVolume("vol-1");
  await requestCancel(world.as("alice"), "two");

  await world.advance(15 * MINUTE);

  const reasons = (await world.read("alice", "two")).events.timeline.map(({ reason }) => reason);
  expect(reasons).toContain("Its disk's volume is gone; its latest backup remains");
});

test("a disk that lost its volume and had its backups deleted externally reports no backup", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  await requestCancel(world.as("alice"), "one");
  await world.advance(15 * MINUTE);
  await usedBy(world, "two");
  for (const id of world.volumes.snapshotIds()) world.volumes.loseSnapshot(id);
  world.volumes.loseVolume("vol-1");
  await requestCancel(world.as("alice"), "two");

  await world.advance(15 * MINUTE);

  const reasons = (await world.read("alice", "two")).events.timeline.map(({ reason }) => reason);
  expect(reasons).toContain("Its disk's volume is gone, and no backup of it is visible");
});

test("a job without its disk's record at its end reports that it made no backup", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  const { disk } = await getDisk(world.as("alice"), "data");
  await world.table.remove(disk, { ifWriter: disk.writers[0] ?? "" });
  await requestCancel(world.as("alice"), "one");

  await world.advance(MINUTE);

  const { phase, events } = await world.read("alice", "one");
  expect(phase).toBe("cancelled");
  expect(events.timeline.map(({ reason }) => reason)).toContain(
    "The record of disk 'data' is missing: it was not backed up",
  );
});

test("a job whose disk has another holder by its end reports that it made no backup", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  const { disk } = await getDisk(world.as("alice"), "data");
  await world.table.put({ ...disk, heldBy: null } as typeof disk);
  await requestCancel(world.as("alice"), "one");

  await world.advance(MINUTE);

  const { phase, events } = await world.read("alice", "one");
  expect(phase).toBe("cancelled");
  expect(events.timeline.map(({ reason }) => reason)).toContain(
    "Disk 'data' is no longer its own: it was not backed up",
  );
});

test("a job that backed its disk up without an answer does not report a foreign disk", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  const { put } = world.table;
  let died = 0;
  const thenDie: typeof put = async (...input) => {
    const answer = await put(...input);
    const item = input[0] as { kind?: string; heldBy?: unknown; snapshots?: unknown[] };
    if (item.kind === "disk" && item.heldBy === null && item.snapshots?.length === 1 && died++ === 0)
      throw new Error("the process was killed");
    return answer;
  };
  Object.assign(world.table, { put: thenDie });
  await requestCancel(world.as("alice"), "one");

  await world.advance(MINUTE);

  const { phase, events } = await world.read("alice", "one");
  expect([died > 0, phase]).toEqual([true, "cancelled"]);
  expect(events.timeline.filter(({ reason }) => reason?.includes("not its own"))).toEqual([]);
});

test("the time while a disk's record is unreadable does not count for an attempt", async () => {
  const world = await memoryWorld();
  await usedBy(world, "one");
  world.volumes.failSnapshots(Number.POSITIVE_INFINITY);
  await requestCancel(world.as("alice"), "one");
  await world.advance(5 * MINUTE);
  const { disk } = await getDisk(world.as("alice"), "data");
  await world.table.put({ ...disk, sizeGb: "many" } as never);
  await world.advance(110 * MINUTE);
  await world.table.put(disk);

  await world.advance(30 * MINUTE);

  expect((await world.read("alice", "one")).end.backup).toMatchObject({ attempt: 1 });
});
